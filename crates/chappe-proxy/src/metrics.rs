//! Metrics in the text format of Prometheus, over HTTP.

use std::fmt::{Display, Write as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chappe_transport::ConnectionLimits;
use chappe_transport::http::RequestHead;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::shared::Shared;

/// Time of one request, from the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests at the same time.
const MAX_REQUESTS: usize = 16;

/// Longest head of a request in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// Answers requests until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_REQUESTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // An error is visible to the client that asks.
                    let _ = timeout(PATIENCE, answer(socket, &shared)).await;
                    drop(place);
                });
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn answer(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut head = Vec::new();
    let (status, body) = loop {
        match RequestHead::parse(&head, &ConnectionLimits::DEFAULT) {
            Ok(Some(head)) => break respond(head.method(), head.path(), shared),
            Ok(None) if head.len() < MAX_HEAD => {}
            _ => break ("400 Bad Request", String::new()),
        }
        if socket.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let len = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    );
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await
}

fn respond(method: &str, path: &str, shared: &Shared) -> (&'static str, String) {
    match (method, path.split('?').next()) {
        ("GET", Some("/metrics")) => ("200 OK", render(shared)),
        ("GET", Some("/health")) => ("200 OK", "ok\n".into()),
        ("GET", _) => ("404 Not Found", String::new()),
        _ => ("405 Method Not Allowed", String::new()),
    }
}

/// Appends the description of a metric.
fn describe(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(out, "# HELP chappe_proxy_{name} {help}\n# TYPE chappe_proxy_{name} {kind}\n");
}

/// Appends a value. Names of users need no escape: they have no quotes.
fn value(out: &mut String, name: &str, labels: &str, value: impl Display) {
    let _ = writeln!(out, "chappe_proxy_{name}{labels} {value}");
}

/// Returns all metrics.
pub(crate) fn render(shared: &Shared) -> String {
    let counters = shared.tally.read();
    let mut out = String::new();
    describe(&mut out, "connections", "gauge", "Connections of clients that are open.");
    value(&mut out, "connections", "", counters.open);
    describe(&mut out, "accepted_total", "counter", "Connections accepted.");
    value(&mut out, "accepted_total", "", counters.accepted);
    describe(&mut out, "clients_total", "counter", "Clients that know a secret.");
    value(&mut out, "clients_total", "", counters.clients);
    describe(&mut out, "handed_on_total", "counter", "Clients that were handed on to the site.");
    value(&mut out, "handed_on_total", "", counters.handed_on);
    describe(&mut out, "refused_total", "counter", "Connections that were refused.");
    for (cause, count) in [
        ("over_limit", counters.over_limit),
        ("evicted", counters.evicted),
        ("silent", counters.silent),
        ("unknown", counters.unknown),
        ("replayed", counters.replayed),
        ("wrong_time", counters.wrong_time),
        ("user", counters.user_refused),
        ("unreachable", counters.unreachable),
    ] {
        value(&mut out, "refused_total", &format!("{{cause=\"{cause}\"}}"), count);
    }
    describe(
        &mut out,
        "ended_total",
        "counter",
        "Connections that ended otherwise than by one of their ends.",
    );
    for (cause, count) in
        [("slow_reader", counters.slow_readers), ("idle", counters.idle), ("broken", counters.broken)]
    {
        value(&mut out, "ended_total", &format!("{{cause=\"{cause}\"}}"), count);
    }
    users(&mut out, shared);
    out
}

fn users(out: &mut String, shared: &Shared) {
    let users = &shared.current().users;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    describe(out, "user_connections", "gauge", "Connections of a user that are open.");
    for user in users {
        value(out, "user_connections", &format!("{{user=\"{}\"}}", user.name), read(&user.counters.open));
    }
    describe(out, "user_connections_total", "counter", "Connections of a user.");
    for user in users {
        let labels = format!("{{user=\"{}\"}}", user.name);
        value(out, "user_connections_total", &labels, read(&user.counters.connections));
    }
    describe(out, "user_refused_total", "counter", "Connections of a user that were refused.");
    for user in users {
        value(
            out,
            "user_refused_total",
            &format!("{{user=\"{}\"}}", user.name),
            read(&user.counters.refused),
        );
    }
    describe(out, "user_bytes_total", "counter", "Bytes of a user, from clients and to clients.");
    for user in users {
        for (direction, count) in [("up", &user.counters.bytes_up), ("down", &user.counters.bytes_down)] {
            let labels = format!("{{user=\"{}\",direction=\"{direction}\"}}", user.name);
            value(out, "user_bytes_total", &labels, read(count));
        }
    }
}
