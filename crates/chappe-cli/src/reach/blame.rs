//! The errors of connections and calls, by who has to act.

use std::sync::Arc;

use chappe::net::{self, ConnectError, CreateKeyError, InvokeError, LinkError};

use crate::failure::{Blame, Failure};

impl From<&ConnectError> for Blame {
    fn from(error: &ConnectError) -> Self {
        match (error.blame(), error.cause()) {
            (net::Blame::Caller, ConnectError::InvalidOption(_) | ConnectError::NoCandidates) => Self::Input,
            (net::Blame::Caller, _) => Self::Machine,
            (net::Blame::Datacenter | net::Blame::Call, _) => Self::Server,
            (net::Blame::Protocol { .. }, _) => Self::Protocol,
            _ => Self::Network,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::of(Blame::from(&error), &error)
    }
}

impl From<Arc<ConnectError>> for Failure {
    fn from(error: Arc<ConnectError>) -> Self {
        Self::of(Blame::from(&*error), &*error)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        ConnectError::Link(error).into()
    }
}

impl From<CreateKeyError> for Failure {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::Link(error) => error.into(),
            CreateKeyError::Refused(code) => ConnectError::Refused(code).into(),
            CreateKeyError::Handshake(error) => ConnectError::Handshake(error).into(),
            other => Self::of(Blame::Protocol, &other),
        }
    }
}

impl From<InvokeError> for Failure {
    fn from(error: InvokeError) -> Self {
        let blame = match error.blame() {
            net::Blame::Datacenter | net::Blame::Call => Blame::Server,
            net::Blame::Protocol { .. } => Blame::Protocol,
            net::Blame::Caller => Blame::Input,
            _ => Blame::Network,
        };
        Self::of(blame, &error)
    }
}
