//! The driver: a task of the page does what the engine says.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use chappe_net::{Action, Address, Driver, SocketId, Sockets};
use js_sys::futures::spawn_local;

use crate::alarm::Alarm;
use crate::signal::Signal;
use crate::socket::{Events, PageSocket};

/// How often a WebSocket is asked whether it takes bytes again: a browser does not tell when.
const RETRY: Duration = Duration::from_millis(20);

/// Runs actions until the engine is finished.
pub(crate) async fn run(driver: Driver, signal: Arc<Signal>) {
    let mut alarm = Alarm::new(Arc::clone(&signal));
    let mut page = Page {
        sockets: driver.sockets(),
        signal: Arc::clone(&signal),
        events: Events::default(),
        open: BTreeMap::new(),
        blocked: Vec::new(),
    };
    loop {
        page.handle_events();
        match driver.poll_action() {
            Action::Connect { socket, address, .. } => page.connect(socket, &address),
            Action::Read(socket) => page.resume(socket),
            Action::Write(socket) => page.write(socket),
            Action::Close(socket) => page.close(socket),
            Action::Store(task) => spawn_local(driver.store(task)),
            Action::WaitUntil(at) => {
                let retry = (!page.blocked.is_empty()).then_some(RETRY);
                alarm.set(at.map(|at| driver.until(at)).into_iter().chain(retry).min());
                signal.wait().await;
                page.write_blocked();
            }
            Action::Finished => return,
            action => unreachable!("{action:?} is not an action of this version of the engine"),
        }
    }
}

/// The sockets of the page.
struct Page {
    sockets: Sockets,
    signal: Arc<Signal>,
    events: Events,
    open: BTreeMap<SocketId, PageSocket>,
    /// Sockets that take nothing at present.
    blocked: Vec<SocketId>,
}

impl Page {
    fn handle_events(&mut self) {
        while let Some((socket, happened)) = self.events.take() {
            let is_of_use = self.open.get_mut(&socket).is_none_or(|open| open.handle(happened));
            if !is_of_use {
                self.open.remove(&socket);
            }
        }
    }

    fn connect(&mut self, socket: SocketId, address: &Address) {
        let connected = match address {
            Address::Url(url) => {
                PageSocket::connect(socket, url, self.sockets.clone(), &self.events, &self.signal)
            }
            other => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{other} is no URL of a WebSocket, and a browser has no other sockets"),
            )),
        };
        match connected {
            Ok(open) => drop(self.open.insert(socket, open)),
            Err(error) => self.sockets.connect_failed(socket, error),
        }
    }

    fn resume(&mut self, socket: SocketId) {
        if let Some(open) = self.open.get_mut(&socket) {
            open.resume();
        }
    }

    fn write(&mut self, socket: SocketId) {
        if self.sockets.flush(socket) && !self.blocked.contains(&socket) {
            self.blocked.push(socket);
        }
    }

    fn write_blocked(&mut self) {
        for socket in mem::take(&mut self.blocked) {
            self.write(socket);
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.sockets.close(socket);
        self.blocked.retain(|blocked| *blocked != socket);
        self.open.remove(&socket);
    }
}
