//! Events of `tracing`.
//!
//! Each carries the number of the client, the datacenter and, where there is a connection, its address and proxy. A
//! connection that begins or ceases to carry the session is told at the level `INFO`, everything in between at `DEBUG`.

use std::fmt;

use chappe_carrier::Address;
use tracing::field::{DisplayValue, display};

use super::{ConnectionId, Engine};

/// Emits an event about a client. Nothing is computed for an event without a subscriber.
macro_rules! tell {
    ($level:ident, $engine:expr, $($rest:tt)+) => {
        tracing::event!(
            tracing::Level::$level,
            client = $engine.id.get(),
            dc = %$engine.options.handshake.dc,
            $($rest)+
        )
    };
}

/// Emits an event about a connection of a client.
macro_rules! tell_of {
    ($level:ident, $engine:expr, $connection:expr, $($rest:tt)+) => {
        $crate::engine::telling::tell!(
            $level,
            $engine,
            address = $engine.address_of($connection),
            proxy = $engine.proxy_of($connection),
            connection = $connection.get(),
            $($rest)+
        )
    };
}

pub(super) use {tell, tell_of};

impl Engine {
    /// Returns the address of a connection, for an event.
    pub(super) fn address_of(&self, connection: ConnectionId) -> Option<DisplayValue<Address>> {
        self.links.peer(connection).map(|(address, _)| display(address))
    }

    /// Returns the proxy of a connection, for an event.
    pub(super) fn proxy_of(
        &self,
        connection: ConnectionId,
    ) -> Option<DisplayValue<impl fmt::Display + use<>>> {
        self.links.peer(connection)?.1.map(display)
    }
}
