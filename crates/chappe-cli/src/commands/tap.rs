//! `chappe tap`.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use chappe::crypto::Side;
use chappe::dissect::capture::{CaptureWriter, Ends, WrittenConnection};
use chappe::dissect::{Beginning, ConnectionId, Dissector, Moment};
use chappe::framing::UnixTime;
use serde::Serialize;

use crate::failure::{Blame, OrBlame as _, Result, Status};
use crate::output::{Output, Report};
use crate::traffic::{Format, KeyLog, Printer, TrafficSources};

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// Pieces of output that wait for the terminal; connections wait when it is full.
const QUEUE: usize = 1024;

/// Passes connections on to a server, and prints what passes as `chappe decrypt` does
///
/// Point a client at it instead of at the server. It changes nothing, and follows a key log that the client writes.
/// It runs until Ctrl-C.
///
/// For example: `chappe tap --to 149.154.167.50:443 --key-log keys.log`.
#[derive(clap::Args)]
pub(crate) struct Tap {
    /// The server: HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4431")]
    listen: SocketAddr,
    #[command(flatten)]
    sources: TrafficSources,
    /// Writes what passes to a capture in the format pcap
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Ends after this many connections
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// Where it listens.
#[derive(Serialize)]
struct Ready {
    listen: SocketAddr,
    to: String,
}

impl Report for Ready {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "listening on {}, passing on to {}", self.listen, self.to)
    }
}

/// What all connections share.
struct Shared {
    dissector: Dissector,
    logs: Vec<KeyLog>,
    printer: Printer,
    capture: Option<CaptureWriter<File>>,
    out: mpsc::SyncSender<String>,
}

/// One connection.
struct Relayed {
    id: ConnectionId,
    ends: Ends,
    written: Option<WrittenConnection>,
}

impl Tap {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let format = if output.is_json() { Format::Json } else { Format::Text };
        let (dissector, logs) = self.sources.live_dissector()?;
        let printer = self.sources.printer(format)?;
        let capture = self.write.as_ref().map(|path| {
            let file = File::create(path).and_then(CaptureWriter::new);
            file.or_blame(Blame::Machine, format_args!("cannot write {}", path.display()))
        });
        let (out, lines) = mpsc::sync_channel(QUEUE);
        let shared = Shared { dissector, logs, printer, capture: capture.transpose()?, out };
        let listener = TcpListener::bind(self.listen)
            .or_blame(Blame::Machine, format_args!("cannot listen on {}", self.listen))?;
        let listen = listener.local_addr().or_blame(Blame::Machine, "cannot listen")?;
        output.event(&Ready { listen, to: self.to.clone() })?;
        let (to, count) = (self.to.clone(), self.count.unwrap_or(u64::MAX));
        thread::spawn(move || accept(&listener, &to, count, shared));
        // The channel ends with the last connection, if a number of them was given.
        lines.iter().try_for_each(|text: String| output.raw(&text))?;
        Ok(Status::Done)
    }
}

/// Accepts connections and relays each on threads of its own.
fn accept(listener: &TcpListener, to: &str, count: u64, shared: Shared) {
    let shared = Arc::new(Mutex::new(shared));
    // The numbers come first: after the last one, no further connection is waited for.
    let accepted = (1..=count).zip(listener.incoming().flatten());
    let relays: Vec<_> = accepted
        .filter_map(|(number, client)| {
            let (to, shared) = (to.to_owned(), Arc::clone(&shared));
            let relay = thread::spawn(move || {
                if let Err(error) = relay(&client, &to, ConnectionId(number), &shared) {
                    lock(&shared).say(&format!("#{number} cannot be passed on to {to}: {error}\n"));
                }
            });
            // Without a number nothing waits for the ends of connections.
            (count != u64::MAX).then_some(relay)
        })
        .collect();
    for relay in relays {
        // A thread that panicked has said so.
        let _ = relay.join();
    }
}

fn relay(client: &TcpStream, to: &str, id: ConnectionId, shared: &Arc<Mutex<Shared>>) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    let ends = Ends { client: client.peer_addr()?, server: server.peer_addr()? };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let relayed = Arc::new(Mutex::new(lock(shared).open(id, ends)?));
    thread::scope(|scope| {
        let upwards = scope.spawn(|| pump(client, &server, Side::Client, &relayed, shared));
        let down = pump(&server, client, Side::Server, &relayed, shared);
        // The connection ends when both directions have; an error of one ends the other.
        let _ = upwards.join();
        down
    })?;
    lock(shared).dissector.close(id);
    Ok(())
}

/// Passes one direction on, until its end.
fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    side: Side,
    relayed: &Mutex<Relayed>,
    shared: &Mutex<Shared>,
) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let bytes = &buffer[..count];
        lock(shared).pass(&mut lock(relayed), side, bytes)?;
        if count == 0 || to.write_all(bytes).is_err() {
            // The other end may have gone already.
            let _ = to.shutdown(Shutdown::Write);
            return Ok(());
        }
    }
}

impl Shared {
    fn open(&mut self, id: ConnectionId, ends: Ends) -> io::Result<Relayed> {
        self.dissector.open(id, Beginning::Seen);
        let Ends { client, server } = ends;
        let time = UnixTime::now();
        let written = self.capture.as_mut().map(|capture| capture.open(time, client, server)).transpose()?;
        Ok(Relayed { id, ends, written })
    }

    /// Dissects bytes and writes them to the capture; no bytes are the end of a direction.
    fn pass(&mut self, relayed: &mut Relayed, from: Side, bytes: &[u8]) -> io::Result<()> {
        let at = Moment { time: UnixTime::now(), packet: 0 };
        if let (Some(capture), Some(written)) = (&mut self.capture, &mut relayed.written) {
            if bytes.is_empty() {
                capture.close(written, at.time, from)?;
            } else {
                capture.write(written, at.time, from, bytes)?;
            }
        }
        for log in &mut self.logs {
            log.refresh(self.dissector.keys_mut());
        }
        self.dissector.handle_bytes(relayed.id, from, at, bytes);
        let mut text = String::new();
        while let Some(record) = self.dissector.poll_record() {
            self.printer.print(&record, Some(relayed.ends), &mut text);
        }
        if !text.is_empty() {
            self.say(&text);
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        // The command ends before its connections if the reader of a pipe has gone.
        let _ = self.out.send(text.to_owned());
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
