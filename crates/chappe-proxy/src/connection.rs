//! The task of one connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chappe_carrier::{LinkError, Wait};
use chappe_server::driver::{ConnectionPermit, hand_on, read_proxy_header};
use tokio::net::TcpStream;

use crate::accepting::{Client, accept, unix_time};
use crate::counters::add;
use crate::pipe::{End, Pipe};
use crate::shared::{Current, Registration, Shared};
use crate::user::{Direction, UserPermit, UserRefusal};

/// Counts an open connection.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.tally.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tally.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection from its first byte to its last.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    registration: Registration,
) {
    let _counted = Counted::new(&shared);
    // Boxed, so that a connection that relays needs no room for its beginning.
    let begun = Box::pin(begin(socket, peer, &shared, &registration)).await;
    let ended = match begun {
        Ok(Some(Joined { pipe, user, _place })) => pipe.run(&shared.buffers, &user).await.inspect(|end| {
            if *end == End::Limit {
                shared.tally.user_refused(&user.user().name, UserRefusal::UsedUp);
            }
            tracing::debug!(%peer, ?end, "connection ended");
        }),
        Ok(None) => return,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
        add(match error {
            LinkError::TimedOut { waiting_for: Wait::Write, .. } => &shared.tally.slow_readers,
            LinkError::TimedOut { .. } => &shared.tally.idle,
            LinkError::TooMany { .. } => &shared.tally.over_limit,
            _ => &shared.tally.broken,
        });
    }
}

/// A client and its datacenter.
struct Joined {
    pipe: Pipe,
    user: UserPermit,
    _place: ConnectionPermit,
}

/// Finds out who the client is, and connects to its datacenter. Returns `None` if the client was refused.
async fn begin(
    mut socket: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    registration: &Registration,
) -> Result<Option<Joined>, LinkError> {
    let current = shared.current();
    socket.set_nodelay(true)?;
    let (client, first) = if is_load_balancer(&current, peer) {
        let patience = Duration::from_secs(current.settings.limits.first_bytes);
        read_proxy_header(&mut socket, peer, patience).await?
    } else {
        (peer, Vec::new())
    };
    let place = shared.limit.admit(client.ip())?;
    let number = registration.number;
    let evict = Arc::downgrade(shared);
    place.on_eviction(Arc::new(move || {
        if let Some(shared) = evict.upgrade() {
            add(&shared.tally.evicted);
            shared.end(number);
        }
    }));

    let mut rng = shared.rng();
    let (accepted, read) = match accept(&mut socket, first, &current.settings, &place, &mut rng).await? {
        Client::Known(accepted, read) => (accepted, read),
        Client::Refused(refusal, sent) => {
            match refusal {
                Some(refusal) => shared.tally.refused(refusal),
                None => add(&shared.tally.silent),
            }
            if let (Some(site), Some(sent)) = (&current.settings.mask, sent) {
                tracing::debug!(peer = %client, ?refusal, "handed on");
                add(&shared.tally.handed_on);
                let limit = Duration::from_secs(current.settings.limits.mask);
                // How it ends is between the client and the site.
                let _ = hand_on(socket, &sent, site, limit).await;
            }
            return Ok(None);
        }
    };
    place.authenticated();
    add(&shared.tally.clients);
    let owner = accepted.secret.and_then(|secret| current.settings.owners.get(secret));
    let Some(user) = owner.and_then(|owner| current.users.get(*owner)) else { return Ok(None) };
    let user = match user.admit(unix_time()) {
        Ok(permit) => permit,
        Err(refusal) => {
            shared.tally.user_refused(&user.name, refusal);
            return Ok(None);
        }
    };
    registration.set_user(user.user());
    let (dc, addresses) = current.settings.datacenter(accepted.dc);
    let framing = accepted.connection.framing();
    let datacenter = match current.settings.upstream.connect(dc, addresses, framing, &mut rng).await {
        Ok(datacenter) => datacenter,
        Err(error) => {
            tracing::warn!(%dc, %error, "datacenter not reached");
            add(&shared.tally.unreachable);
            return Ok(None);
        }
    };
    let client = (socket, accepted.connection, read);
    let pipe = Pipe::join(client, datacenter, &current.settings.limits)?;
    // If they were the last that are allowed, the next ones end the connection.
    user.count(Direction::Up, pipe.begun());
    Ok(Some(Joined { pipe, user, _place: place }))
}

fn is_load_balancer(current: &Current, peer: SocketAddr) -> bool {
    let address = peer.ip().to_canonical();
    current.config.load_balancers.iter().any(|known| known.to_canonical() == address)
}
