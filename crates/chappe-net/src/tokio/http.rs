//! HTTP over tokio sockets: a task for each lane.

use std::net::SocketAddr;
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_transport::TransportErrorCode;
use chappe_transport::http::Persistence;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::dial::open;
use super::stream::write;
use crate::options::DialOptions;
use chappe_carrier::LinkError;
use chappe_carrier::{HttpAnswer, HttpLane, LANES, QUEUE, may_repeat};

/// What a lane brings: a payload, a status instead of one, or why no lane goes on.
pub(super) type Brought = Result<Result<Vec<u8>, TransportErrorCode>, LinkError>;

/// The lanes; they end with this value.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) brought: mpsc::Receiver<Brought>,
    _tasks: JoinSet<()>,
}

/// What the lanes share.
struct Road {
    target: SocketAddr,
    options: DialOptions,
    payloads: Mutex<mpsc::Receiver<Vec<u8>>>,
    brought: mpsc::Sender<Brought>,
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
) -> (Lanes, mpsc::Sender<Vec<u8>>) {
    let (payloads, queued) = mpsc::channel(QUEUE);
    let (bring, brought) = mpsc::channel(LANES);
    let options = options.clone();
    let road = Arc::new(Road { target, options, payloads: Mutex::new(queued), brought: bring });
    let mut tasks = JoinSet::new();
    let mut first = Some(Car { socket, lane });
    for _ in 0..LANES {
        tasks.spawn(drive(Arc::clone(&road), first.take(), rng.fork()));
    }
    (Lanes { brought, _tasks: tasks }, payloads)
}

/// Sends one payload after the other.
async fn drive(road: Arc<Road>, mut car: Option<Car>, mut rng: Drbg) {
    loop {
        let payload = road.payloads.lock().await.recv().await;
        let Some(payload) = payload else { return };
        let answer = match send(&road, &mut car, &payload, &mut rng).await {
            Err(error) if may_repeat(&error) => {
                car = None;
                send(&road, &mut car, &payload, &mut rng).await
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
        if road.brought.send(brought).await.is_err() {
            return;
        }
    }
}

async fn send(
    road: &Road,
    car: &mut Option<Car>,
    payload: &[u8],
    rng: &mut Drbg,
) -> Result<HttpAnswer, LinkError> {
    let patience = road.options.write_timeout;
    let Car { socket, lane } = match car {
        Some(car) => car,
        none => {
            let (socket, opening) = open(road.target, &road.options, rng).await?;
            none.insert(Car { socket, lane: opening.finish_http()? })
        }
    };
    write(socket, &lane.request(payload)?, patience).await?;
    let mut out = Vec::new();
    loop {
        // How long an answer may take is the session's business: it asked to wait.
        let count = socket.read(lane.space()?).await?;
        let answer = lane.commit(count, &mut out)?;
        write(socket, &std::mem::take(&mut out), patience).await?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
}
