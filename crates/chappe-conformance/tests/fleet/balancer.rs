//! The address that clients know: each connection goes to one of the processes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A relay to processes in turn.
pub(crate) struct Balancer {
    address: SocketAddr,
    processes: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let processes = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let known = Arc::clone(&processes);
        thread::spawn(move || {
            for (turn, client) in listener.incoming().map_while(Result::ok).enumerate() {
                let known = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let mut order = known.iter().cycle().skip(turn % known.len().max(1)).take(known.len());
                let connect =
                    |address: &SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(1)).ok();
                // A connection that finds no process is closed.
                let Some(server) = order.find_map(connect) else { continue };
                for (mut from, mut to) in [(&client, &server), (&server, &client)]
                    .map(|(from, to)| [from, to].map(|socket| socket.try_clone().expect("a socket")).into())
                {
                    thread::spawn(move || {
                        let mut bytes = [0; 16 * 1024];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            if to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        // Either may be closed already.
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        Self { address, processes }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, processes: Vec<SocketAddr>) {
        *self.processes.lock().unwrap_or_else(PoisonError::into_inner) = processes;
    }
}
