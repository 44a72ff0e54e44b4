//! The beginning of a connection, as the client sends it.

use chappe::crypto::Side;
use chappe::dissect::{Beginning, ConnectionId, Content, Dissector, Moment, Unreadable};

use super::Known;
use super::found::Found;

/// The first bytes of a transport, and the frames behind them.
pub(super) fn transport(bytes: &[u8], known: &Known) -> Option<Found> {
    let mut dissector = Dissector::new(known.keys.clone()).with_secrets(known.secrets.clone());
    let id = ConnectionId(1);
    dissector.open(id, Beginning::Seen);
    dissector.handle_bytes(id, Side::Client, Moment::default(), bytes);
    let first = dissector.poll_record()?;
    let mut found = match first.content {
        Content::Transport(transport) => {
            Found::new("transport", "beginning of a connection").with("transport", transport)
        }
        Content::Unreadable(reason @ (Unreadable::Tls | Unreadable::OtherHttp)) => {
            return Some(
                Found::new("other", "beginning of a connection that is not read").with("reason", reason),
            );
        }
        _ => return None,
    };
    while let Some(record) = dissector.poll_record() {
        let line = record.line(&known.names).to_string();
        // In front are the time and the number of the connection, which mean nothing here.
        let text = line.splitn(4, ' ').nth(3).unwrap_or_default().trim_start().to_owned();
        if let Content::Unreadable(_) = record.content {
            // One byte is a prefix; what follows must be frames for it to be one.
            return None;
        }
        found = found.with("frame", text);
        if let Content::Message(message) = &record.content
            && !message.object.body().is_empty()
        {
            found = found.containing(Found::object(&known.names.explore(message.object.body(), None)));
        }
    }
    Some(found)
}
