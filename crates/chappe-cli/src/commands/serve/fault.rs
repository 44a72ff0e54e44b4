//! What goes wrong on purpose, as the command line writes it.

use std::str::FromStr;
use std::time::Duration;

use chappe::loopback::{Fault, FaultScript, Misbehaviour};
use chappe::types::TransportErrorCode;

/// One entry of the list of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Envelope(Fault),
    Query(Misbehaviour),
    Skip(usize),
    SkipQueries(usize),
}

impl Entry {
    /// Appends the entry to a script.
    pub(super) fn add_to(&self, script: &FaultScript) {
        match self {
            Self::Envelope(fault) => script.next(fault.clone()),
            Self::Query(misbehaviour) => script.next_query(misbehaviour.clone()),
            Self::Skip(count) => script.skip(*count),
            Self::SkipQueries(count) => script.skip_queries(*count),
        }
    }
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Ok(match name {
            "drop" => Self::Envelope(Fault::Drop),
            "delay" => Self::Envelope(Fault::Delay(Duration::from_millis(number(value)?))),
            "duplicate" => Self::Envelope(Fault::Duplicate),
            "swap" => Self::Envelope(Fault::Swap),
            "close-after" => Self::Envelope(Fault::CloseAfter(number(value)?)),
            "transport-error" => Self::Envelope(Fault::Error(TransportErrorCode::from_raw(number(value)?))),
            "skip" => Self::Skip(count(value)?),
            "bad-msg" => Self::Query(Misbehaviour::BadMsg { code: number(value)? }),
            "bad-salt" => Self::Query(Misbehaviour::BadServerSalt { new_salt: number(value)? }),
            "rpc-error" => {
                let (code, message) = value.split_once(':').ok_or("expected rpc-error=CODE:TEXT")?;
                let message = message.to_owned();
                Self::Query(Misbehaviour::RpcError { code: number(code)?, message })
            }
            "silence" => Self::Query(Misbehaviour::Silence),
            "skip-queries" => Self::SkipQueries(count(value)?),
            _ => return Err(format!("there is no fault `{name}`")),
        })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| {
        if text.is_empty() { "expected =NUMBER".into() } else { format!("`{text}` is no number") }
    })
}

/// Each skipped message has an entry in the list.
fn count(text: &str) -> Result<usize, String> {
    const MAX: usize = 100_000;
    number(text).and_then(|count| if count <= MAX { Ok(count) } else { Err(format!("more than {MAX}")) })
}

#[cfg(test)]
mod tests {
    use super::Entry;
    use chappe::loopback::{Fault, Misbehaviour};
    use std::time::Duration;

    #[test]
    fn faults_are_read() {
        assert_eq!("drop".parse(), Ok(Entry::Envelope(Fault::Drop)));
        assert_eq!("delay=250".parse(), Ok(Entry::Envelope(Fault::Delay(Duration::from_millis(250)))));
        let flood = Misbehaviour::RpcError { code: 420, message: "FLOOD_WAIT_3".into() };
        assert_eq!("rpc-error=420:FLOOD_WAIT_3".parse(), Ok(Entry::Query(flood)));
        for wrong in ["", "delay", "delay=soon", "rpc-error=420", "explode", "skip=999999999"] {
            assert!(wrong.parse::<Entry>().is_err(), "{wrong}");
        }
    }
}
