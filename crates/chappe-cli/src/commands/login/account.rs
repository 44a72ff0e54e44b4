//! The connection of a login, which moves to the account's datacenter.

use std::sync::Arc;
use std::time::Duration;

use chappe::api::functions::help::GetConfig;
use chappe::api::{enums, types};
use chappe::authentication::DcId;
use chappe::config::{Route, candidates};
use chappe::import::{self, ImportedSession};
use chappe::net::store::{KeyStore as _, MemoryStore, Slot};
use chappe::net::tokio::connect;
use chappe::net::{Client, ConnectOptions, InvokeError};
use chappe::session::client::SavedState;
use chappe::tl::RemoteCall;

use crate::application::Application;
use crate::failure::{Blame, Failure, OrBlame as _, Result};
use crate::reach::{Place, Reach, Target};

/// Longest wait that the datacenter may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A login under way.
pub(super) struct Account {
    client: Client,
    options: ConnectOptions,
    store: Arc<MemoryStore>,
    /// Keeps the embedded datacenter alive.
    _target: Target,
}

/// Who is logged in.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) is_bot: bool,
}

impl User {
    pub(super) fn of(answer: &enums::auth::Authorization<'_>, is_bot: bool) -> Result<Self> {
        let enums::auth::Authorization::Authorization(found) = answer else {
            return Err(Failure::new(
                Blame::Server,
                "the number has no account: sign up in an app of Telegram first",
            ));
        };
        let id = match found.user {
            enums::User::User(user) => user.id,
            enums::User::Empty(types::UserEmpty { id }) => id,
        };
        Ok(Self { id, is_bot })
    }
}

impl Account {
    /// Connects to the datacenter to begin with.
    pub(super) async fn connect(reach: &Reach, place: &Place, application: &Application) -> Result<Self> {
        let target = reach.target(place)?;
        let store = Arc::new(MemoryStore::new());
        let options =
            reach.connect_options(&target)?.with_init(application.init()?).with_store(store.clone());
        let client = connect(options.clone()).await?;
        Ok(Self { client, options, store, _target: target })
    }

    /// Makes a call as it is.
    pub(super) async fn invoke<C: RemoteCall>(&self, call: &C) -> Result<C::Return, InvokeError> {
        self.client.invoke(call).await
    }

    /// Makes a call, at the datacenter that the first one names, and after a wait that it asks for.
    pub(super) async fn call<C: RemoteCall>(&mut self, call: &C) -> Result<C::Return> {
        loop {
            let error = match self.invoke(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(dc) = error.migrate_to() {
                self.move_to(dc).await?;
            } else {
                match error.wait() {
                    Some(wait) if wait <= MAX_WAIT => tokio::time::sleep(wait).await,
                    _ => return Err(error.into()),
                }
            }
        }
    }

    /// Connects to another datacenter, at the addresses that this one announces.
    pub(super) async fn move_to(&mut self, number: u16) -> Result<()> {
        let dc = if self.options.handshake.dc.environment() == DcId::test(1).environment() {
            DcId::test(number)
        } else {
            DcId::production(number)
        };
        let config = self.client.invoke(&GetConfig {}).await?;
        let known = candidates(config.get().dc_options, dc, Route::Direct);
        if known.is_empty() {
            let problem =
                format!("the account lives on {dc}, whose address is not announced: give it by --at");
            return Err(Failure::new(Blame::Server, problem));
        }
        self.client.close().await;
        self.options.candidates = known;
        self.options.handshake.dc = dc;
        self.client = connect(self.options.clone()).await?;
        Ok(())
    }

    /// Ends the connection, and returns the session.
    pub(super) async fn close(self, user: User) -> Result<ImportedSession> {
        let dc = self.options.handshake.dc;
        self.client.close().await;
        let slot = Slot::of(dc);
        let state = self.store.load(slot).or_blame(Blame::Machine, "cannot read the key")?;
        let state = state.ok_or_else(|| Failure::new(Blame::Machine, "the key was not kept"))?;
        let state = SavedState::import(&state).or_blame(Blame::Machine, "cannot read the key")?;
        Ok(ImportedSession {
            dc: dc.number(),
            environment: Some(dc.environment()),
            server: None,
            auth_key: state.key.auth_key.clone(),
            user: Some(import::User { id: user.id, is_bot: user.is_bot }),
            api_id: None,
        })
    }
}
