//! A relay that loses answers: the request is done, and its sender does not learn it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A relay to a server.
pub(crate) struct Cut {
    address: SocketAddr,
    /// Answers that are still to be lost.
    losses: Arc<AtomicUsize>,
}

impl Cut {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let losses = Arc::<AtomicUsize>::default();
        let shared = Arc::clone(&losses);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let [to_server, to_client] =
                    [&server, &client].map(|socket| socket.try_clone().expect("a socket"));
                thread::spawn(move || relay(client, to_server, || false));
                let losses = Arc::clone(&shared);
                let is_lost = move || {
                    let less = |left: usize| left.checked_sub(1);
                    losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
                };
                thread::spawn(move || relay(server, to_client, is_lost));
            }
        });
        Self { address, losses }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts the connection instead of the next answers, so many times.
    pub(crate) fn lose(&self, answers: usize) {
        self.losses.store(answers, Ordering::SeqCst);
    }

    pub(crate) fn has_lost_all(&self) -> bool {
        self.losses.load(Ordering::SeqCst) == 0
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, is_lost: impl Fn() -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if is_lost() || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
