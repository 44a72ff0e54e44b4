//! Both drivers over real sockets whose path is slow: a relay forwards a fixed number of bytes a second.
//!
//! The simulated world covers the profiles of networks; these tests cover what it cannot, the drivers and the system's
//! sockets. The policy is scaled down with the size of the transfers, so that a part still takes several times as long as
//! the patience of the client.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;

use chappe_net::{Client, ConnectOptions, InvokeOptions, blocking, tokio::connect};
use chappe_server::{Answer, Call};
use chappe_session::liveness::LivenessPolicy;
use chappe_tl_api::{enums, functions, types};

use crate::world::World;

/// Bytes a second in the shaped direction. The system buffers of loopback sockets hold less than a part.
const RATE: usize = 512 << 10;

/// Bytes of a part: 4 seconds at [`RATE`], four times the patience.
const PART: usize = 2 << 20;

/// Time without any byte after which the client gives a connection up.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the relay treats one direction.
#[derive(Clone, Copy)]
enum Shape {
    /// Forwards at once.
    Open,
    /// Forwards [`RATE`] bytes a second and reads nothing meanwhile, so the sender feels it.
    Slow,
    /// Forwards [`RATE`] bytes a second and reads everything at once, as many proxies do: the sender feels nothing.
    SlowBehindQueue,
}

/// A relay in front of a datacenter, and the number of connections that it accepted.
struct Relay {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Relay {
    fn before(datacenter: SocketAddr, up: Shape, down: Shape) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::Relaxed);
                let Ok(server) = TcpStream::connect(datacenter) else { continue };
                let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                forward(client, server_too, up);
                forward(server, client_too, down);
            }
        });
        Self { address, accepted }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// Starts the threads of one direction. They end when either socket does.
fn forward(from: TcpStream, to: TcpStream, shape: Shape) {
    match shape {
        Shape::Open => drop(thread::spawn(move || pump(from, to, None))),
        Shape::Slow => drop(thread::spawn(move || pump(from, to, Some(RATE)))),
        Shape::SlowBehindQueue => {
            let (queue, queued) = mpsc::channel::<Vec<u8>>();
            thread::spawn(move || take_everything(from, &queue));
            thread::spawn(move || {
                let mut to = to;
                for bytes in queued {
                    if to.write_all(&bytes).is_err() {
                        break;
                    }
                    thread::sleep(time_of(bytes.len(), RATE));
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }
}

fn take_everything(mut from: TcpStream, queue: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if queue.send(buffer[..count].to_vec()).is_err() {
            break;
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, rate: Option<usize>) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        if let Some(rate) = rate {
            thread::sleep(time_of(count, rate));
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn time_of(bytes: usize, rate: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / rate as u64)
}

/// A datacenter whose files consist of one part of [`PART`] bytes that gzip cannot shrink.
fn world() -> World {
    World::start_with(|options| {
        options.on(|_, _: Call<functions::upload::GetFile<'static>>| async {
            let mut state = 1_u32;
            let bytes = core::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as u8
            });
            let r#type = enums::storage::FileType::FileUnknown;
            let bytes: Vec<_> = bytes.take(PART).collect();
            let file = types::upload::File { r#type, mtime: 0, bytes: &bytes };
            Ok(Answer::new(&enums::upload::File::File(file)))
        })
    })
}

fn options(world: &World, relay: &Relay) -> ConnectOptions {
    let mut options = world.options_at(relay.address);
    options.liveness = LivenessPolicy::INTERACTIVE.with(|policy| {
        policy.busy_ping = PATIENCE / 2;
        policy.busy_ping_rtts = 1;
        policy.dead_after = PATIENCE;
        policy.dead_after_rtts = 1;
    });
    options
}

fn get_file() -> functions::upload::GetFile<'static> {
    const DOCUMENT: types::InputDocumentFileLocation<'static> =
        types::InputDocumentFileLocation { id: 1, access_hash: 2, file_reference: &[], thumb_size: "" };
    functions::upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: enums::InputFileLocation::InputDocumentFileLocation(&DOCUMENT),
        offset: 0,
        limit: 1 << 20,
    }
}

/// Runs a test with a client of each driver; both at the same time, since they mostly wait.
fn with_both_drivers(world: &World, up: Shape, down: Shape, test: impl Fn(&Client) + Sync) {
    let run = |connect: &dyn Fn(ConnectOptions) -> Client| {
        let relay = Relay::before(world.address(), up, down);
        let client = connect(options(world, &relay));
        test(&client);
        assert_eq!((relay.accepted(), client.status().connections), (1, 1), "the slow connection was kept");
        client.close().wait();
    };
    thread::scope(|scope| {
        scope.spawn(|| run(&|options| blocking::connect(options).expect("a connection")));
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.expect("a runtime");
            run(&|options| runtime.block_on(connect(options)).expect("a connection"));
        });
    });
}

#[test]
fn a_part_that_takes_longer_than_the_patience_arrives_over_one_connection() {
    with_both_drivers(&world(), Shape::Open, Shape::Slow, |client| {
        let file = client.invoke(&get_file()).wait().expect("the part");
        let enums::upload::File::File(file) = file.get() else { panic!("{file:?}") };
        assert_eq!(file.bytes.len(), PART);
    });
}

fn save_part() -> functions::upload::SaveFilePart<'static> {
    static BYTES: [u8; PART / 4] = [7; PART / 4];
    functions::upload::SaveFilePart { file_id: 1, file_part: 0, bytes: &BYTES }
}

#[test]
fn parts_that_leave_slowly_arrive_over_one_connection() {
    let unpacked = InvokeOptions::default().unpacked();
    for up in [Shape::Slow, Shape::SlowBehindQueue] {
        with_both_drivers(&world(), up, Shape::Open, |client| {
            let parts: Vec<_> = (0..4).map(|_| client.invoke_with(&save_part(), &unpacked)).collect();
            for part in parts {
                assert!(part.wait().expect("an answer"));
            }
        });
    }
}
