//! The methods of the embedded datacenter.

mod files;
mod login;
mod messages;
mod settings;
mod updates;
mod users;

use std::net::SocketAddr;

use chappe_crypto::rng::Drbg;
use chappe_handshake::DcId;
use chappe_server::{CallContext, Datacenter, Datacenters, Router, RpcError};

use crate::cloud::{Cloud, State};

pub use crate::cloud::{Account, UserId};

/// A datacenter and the cloud that it is part of.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) cloud: Cloud,
    pub(crate) dc: DcId,
    pub(crate) address: SocketAddr,
    /// Whether it is a cache of files.
    pub(crate) is_cdn: bool,
}

/// Datacenters that clients may look for. A datacenter that is alone is all of them, so that no client looks elsewhere.
const DC_IDS: core::ops::RangeInclusive<u16> = 1..=5;

impl Api {
    /// Makes the router of the datacenter.
    pub(crate) fn router(&self) -> Router {
        let api = self.clone();
        let router = Router::new().datacenters_by(move |ctx| api.datacenters(ctx)).drop_temp_auth_keys();
        if self.is_cdn {
            return self.add_cache(router);
        }
        let router = self.add_settings(router);
        let router = self.add_logins(router);
        let router = self.add_users(router);
        let router = self.add_messages(router);
        let router = self.add_updates(router);
        self.add_files(router)
    }

    /// What clients are told about datacenters.
    fn datacenters(&self, ctx: &CallContext) -> Datacenters {
        let mut list = self.cloud.datacenters();
        if self.is_alone() {
            let named = ctx.dc().map(DcId::number);
            for id in DC_IDS.chain(named) {
                if list.iter().all(|known| known.dc.number() != id) {
                    list.push(Datacenter::new(DcId::production(id), self.address));
                }
            }
        }
        Datacenters::new(self.dc, list)
    }

    /// Returns whether no other datacenter shares the cloud. Then this one serves all numbers.
    fn is_alone(&self) -> bool {
        self.cloud.datacenters().iter().filter(|known| !known.is_cdn).count() <= 1
    }

    /// Returns which datacenter this one is, if there are others.
    fn number_among_others(&self) -> Option<u16> {
        if self.is_alone() { None } else { Some(self.dc.number()) }
    }

    /// Calls `work` with the state, for a call that needs a login. The session gets the updates of its user from then on.
    fn as_user<T>(
        &self,
        ctx: &CallContext,
        work: impl FnOnce(&mut State, UserId) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let mut state = self.cloud.state();
        let user = state.user_of(ctx.permanent_key_id())?;
        if !ctx.is_without_updates() {
            state.listen(user, ctx.session(), ctx.layer());
        }
        work(&mut state, user)
    }
}

fn rng() -> Result<Drbg, RpcError> {
    Drbg::from_os().map_err(|_| RpcError::new(500, "RANDOM_UNAVAILABLE"))
}

/// Writes `Vector<t>` of elements that are encoded already.
fn put_vector(elements: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend(0x1cb5_c415_u32.to_le_bytes());
    out.extend((elements.len() as u32).to_le_bytes());
    for element in elements {
        out.extend(element);
    }
}
