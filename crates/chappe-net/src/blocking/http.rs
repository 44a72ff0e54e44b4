//! HTTP over blocking sockets: a thread for each lane.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use chappe_crypto::rng::Drbg;
use chappe_transport::TransportErrorCode;
use chappe_transport::http::Persistence;

use super::dial::open;
use super::stream::late;
use crate::options::DialOptions;
use chappe_carrier::{HttpAnswer, HttpLane, LANES, QUEUE, may_repeat};
use chappe_carrier::{LinkError, Wait};

/// What a lane brings: a payload, a status instead of one, or why no lane goes on.
pub(super) type Brought = Result<Result<Vec<u8>, TransportErrorCode>, LinkError>;

/// The lanes; they end with this value.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) brought: Receiver<Brought>,
    sockets: Arc<Mutex<Sockets>>,
}

/// Handles by which a thread that reads is woken.
#[derive(Debug, Default)]
struct Sockets {
    open: [Option<TcpStream>; LANES],
    is_over: bool,
}

/// What the lanes share.
struct Road {
    target: SocketAddr,
    options: DialOptions,
    payloads: Mutex<Receiver<Vec<u8>>>,
    brought: SyncSender<Brought>,
    sockets: Arc<Mutex<Sockets>>,
}

/// A lane's connection.
struct Car {
    socket: TcpStream,
    lane: HttpLane,
}

/// Starts the lanes, the first of which has its connection already.
pub(super) fn start(
    socket: TcpStream,
    lane: HttpLane,
    target: SocketAddr,
    options: &DialOptions,
    rng: &mut Drbg,
) -> Result<(Lanes, SyncSender<Vec<u8>>), LinkError> {
    let (payloads, queued) = sync_channel(QUEUE);
    let (bring, brought) = sync_channel(LANES);
    let sockets = Arc::new(Mutex::new(Sockets::default()));
    let options = options.clone();
    let lanes = Lanes { brought, sockets: Arc::clone(&sockets) };
    let road = Arc::new(Road { target, options, payloads: Mutex::new(queued), brought: bring, sockets });
    let mut first = Some(Car { socket, lane });
    for index in 0..LANES {
        let (road, car, rng) = (Arc::clone(&road), first.take(), rng.fork());
        let thread = thread::Builder::new().name("chappe-http".into());
        thread.spawn(move || drive(&road, index, car, rng))?;
    }
    Ok((lanes, payloads))
}

impl Drop for Lanes {
    fn drop(&mut self) {
        let mut sockets = lock(&self.sockets);
        sockets.is_over = true;
        for socket in sockets.open.iter().flatten() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Sends one payload after the other.
fn drive(road: &Road, index: usize, mut car: Option<Car>, mut rng: Drbg) {
    if let Some(Car { socket, .. }) = &car
        && road.register(index, socket).is_err()
    {
        car = None;
    }
    loop {
        let payload = lock(&road.payloads).recv();
        let Ok(payload) = payload else { return };
        let answer = match send(road, index, &mut car, &payload, &mut rng) {
            Err(error) if may_repeat(&error) && !lock(&road.sockets).is_over => {
                car = None;
                send(road, index, &mut car, &payload, &mut rng)
            }
            answer => answer,
        };
        let brought = match answer {
            Ok(HttpAnswer { outcome, persistence }) => {
                if persistence == Persistence::Close {
                    car = None;
                }
                match outcome {
                    Ok(None) => continue,
                    Ok(Some(payload)) => Ok(Ok(payload)),
                    Err(code) => Ok(Err(code)),
                }
            }
            Err(error) => Err(error),
        };
        if road.brought.send(brought).is_err() {
            return;
        }
    }
}

fn send(
    road: &Road,
    index: usize,
    car: &mut Option<Car>,
    payload: &[u8],
    rng: &mut Drbg,
) -> Result<HttpAnswer, LinkError> {
    let Car { socket, lane } = match car {
        Some(car) => car,
        none => {
            let (socket, opening) = open(road.target, &road.options, rng)?;
            road.register(index, &socket)?;
            none.insert(Car { socket, lane: opening.finish_http()? })
        }
    };
    // How long an answer may take is the session's business: it asked to wait.
    socket.set_read_timeout(None)?;
    road.write(socket, &lane.request(payload)?)?;
    let mut out = Vec::new();
    loop {
        let count = socket.read(lane.space()?)?;
        let answer = lane.commit(count, &mut out)?;
        road.write(socket, &std::mem::take(&mut out))?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
}

impl Road {
    fn register(&self, index: usize, socket: &TcpStream) -> Result<(), LinkError> {
        let mut sockets = lock(&self.sockets);
        if sockets.is_over {
            return Err(LinkError::Closed);
        }
        sockets.open[index] = Some(socket.try_clone()?);
        Ok(())
    }

    fn write(&self, mut socket: &TcpStream, bytes: &[u8]) -> Result<(), LinkError> {
        socket.write_all(bytes).map_err(|error| late(error, Wait::Write, self.options.write_timeout))
    }
}

/// A panic in one lane must not stop the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
