//! Records as text, as JSON, and as the JSON of tshark.

use std::fmt::Write as _;

use chappe::crypto::Side;
use chappe::dissect::capture::Ends;
use chappe::dissect::{Content, FieldValue, MessageObject, Record, Unreadable};
use serde_json::{Map, Value as Json, json};

use super::SchemaNames;
use crate::output::{BAD, DIM};

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A line for each.
    Text,
    /// A JSON object in each line.
    Json,
    /// One JSON list, as `tshark -T json` prints packets.
    Tshark,
}

/// Prints records.
pub(crate) struct Printer {
    format: Format,
    names: SchemaNames,
    /// Whether the content of messages is printed.
    bodies: bool,
    /// Whether connections that carry no MTProto are printed.
    all: bool,
    is_first: bool,
}

impl Printer {
    pub(crate) const fn new(format: Format, names: SchemaNames, bodies: bool, all: bool) -> Self {
        Self { format, names, bodies, all, is_first: true }
    }

    /// Appends a record to `out`.
    pub(crate) fn print(&mut self, record: &Record, ends: Option<Ends>, out: &mut String) {
        let is_other = matches!(
            record.content,
            Content::Unreadable(Unreadable::Tls | Unreadable::OtherHttp | Unreadable::Unrecognised)
        );
        if is_other && !self.all {
            return;
        }
        match self.format {
            Format::Text => self.text(record, ends, out),
            Format::Json => {
                let _ = writeln!(out, "{}", self.json(record, ends));
            }
            Format::Tshark => {
                out.push_str(if self.is_first { "[\n" } else { ",\n" });
                let _ = write!(out, "{:#}", self.tshark(record, ends));
            }
        }
        self.is_first = false;
    }

    /// Appends what is behind the last record.
    pub(crate) fn finish(&self, out: &mut String) {
        if self.format == Format::Tshark {
            out.push_str(if self.is_first { "[]\n" } else { "\n]\n" });
        }
    }

    fn text(&self, record: &Record, ends: Option<Ends>, out: &mut String) {
        let line = record.line(&self.names);
        // Writing to a string does not fail.
        let _ = match &record.content {
            Content::Transport(_) => {
                let ends = ends.map(|ends| format!(", {} to {}", ends.client, ends.server));
                writeln!(out, "{line}{}", ends.unwrap_or_default())
            }
            Content::Lost { .. } | Content::Unreadable(_) | Content::TransportError(_) => {
                writeln!(out, "{BAD}{line}{BAD:#}")
            }
            Content::Sealed { .. } | Content::Resynchronised { .. } => writeln!(out, "{DIM}{line}{DIM:#}"),
            _ => writeln!(out, "{line}"),
        };
        let Some((body, query)) = body(record).filter(|_| self.bodies) else { return };
        let explored = self.names.explore(body, query);
        for line in explored.value.to_string().lines() {
            let _ = writeln!(out, "    {line}");
        }
        if let Some(error) = explored.error {
            let _ = writeln!(out, "    {BAD}{error}{BAD:#}");
        }
    }

    /// Returns the fields of a record.
    fn fields(&self, record: &Record, prefix: &str) -> Map<String, Json> {
        let mut map = Map::new();
        record.fields(&self.names, &mut |field| {
            let name = format!("{prefix}{}", field.name);
            let value = match field.value {
                FieldValue::Text(text) => text.into(),
                FieldValue::Wire(text) => text.into(),
                FieldValue::Number(number) => number.into(),
                FieldValue::MsgId(msg_id) => msg_id.to_string().into(),
                FieldValue::MsgIds(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
                FieldValue::Constructor(id) => format!("#{id:08x}").into(),
                FieldValue::AuthKeyId(id) => id.to_string().into(),
                FieldValue::Unreadable(reason) => reason.to_string().into(),
                FieldValue::Error(error) => error.to_string().into(),
                FieldValue::Flag => true.into(),
                _ => return,
            };
            // A field that is there twice becomes a list.
            match map.get_mut(&name) {
                Some(Json::Array(values)) => values.push(value),
                Some(first) => *first = vec![first.take(), value].into(),
                None => {
                    map.insert(name, value);
                }
            }
        });
        map
    }

    fn json(&self, record: &Record, ends: Option<Ends>) -> Json {
        let mut map = Map::new();
        map.insert("time".into(), seconds(record).into());
        if record.at.packet > 0 {
            map.insert("packet".into(), record.at.packet.into());
        }
        map.insert("connection".into(), record.connection.0.into());
        if let Some(Ends { client, server }) = ends {
            map.insert("client".into(), client.to_string().into());
            map.insert("server".into(), server.to_string().into());
        }
        map.extend(self.fields(record, ""));
        if let Some((body, query)) = body(record).filter(|_| self.bodies) {
            map.insert("object".into(), self.names.json(body, query));
        }
        map.into()
    }

    /// Returns a record as tshark prints a packet: layers of fields, and all values as text.
    fn tshark(&self, record: &Record, ends: Option<Ends>) -> Json {
        let mut layers = Map::new();
        let frame = json!({
            "frame.number": record.at.packet.to_string(),
            "frame.time_epoch": seconds(record),
            "frame.protocols": "ip:tcp:mtproto",
        });
        layers.insert("frame".into(), frame);
        if let Some(Ends { client, server }) = ends {
            let (source, target) =
                if record.from == Side::Client { (client, server) } else { (server, client) };
            let name = if source.is_ipv4() { "ip" } else { "ipv6" };
            let field = |part: &str| format!("{name}.{part}");
            layers.insert(
                name.into(),
                json!({ field("src"): source.ip().to_string(), field("dst"): target.ip().to_string() }),
            );
            let stream = record.connection.0.saturating_sub(1).to_string();
            let (from, to) = (source.port().to_string(), target.port().to_string());
            layers.insert(
                "tcp".into(),
                json!({ "tcp.srcport": from, "tcp.dstport": to, "tcp.stream": stream }),
            );
        }
        let mut fields = self.fields(record, "mtproto.");
        for value in fields.values_mut() {
            *value = match value.take() {
                Json::Bool(set) => u8::from(set).to_string().into(),
                Json::Number(number) => number.to_string().into(),
                other => other,
            };
        }
        if let Some((body, query)) = body(record).filter(|_| self.bodies) {
            fields.insert("mtproto.object".into(), self.names.json(body, query));
        }
        layers.insert("mtproto".into(), fields.into());
        json!({
            "_index": format!("packets-{}", date(record.at.time.as_secs())),
            "_score": null,
            "_source": { "layers": layers },
        })
    }
}

/// Returns the bytes of a record's object, and the method that it answers.
fn body(record: &Record) -> Option<(&[u8], Option<u32>)> {
    let Content::Message(message) = &record.content else { return None };
    let query = match &message.object {
        MessageObject::Answer { query: Some(query), is_result: true, .. } => Some(query.method.constructor),
        _ => None,
    };
    Some((message.object.body(), query)).filter(|(body, _)| !body.is_empty())
}

/// Returns the time in seconds since 1970 with nine decimals.
fn seconds(record: &Record) -> String {
    let time = record.at.time;
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// Returns a date in UTC: `YYYY-MM-DD`. The year begins in March here, so that a leap day is its last day.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + next)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_707_425_104, "2024-02-08"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
