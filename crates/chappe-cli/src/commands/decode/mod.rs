//! `chappe decode`.

mod found;
mod frame;
mod input;
mod stream;

use chappe::crypto::Side;
use chappe::dissect::Keys;
use chappe::transport::ProxySecret;

use crate::failure::{Failure, Result, Status};
use crate::output::Output;
use crate::traffic::{KeySources, SchemaNames, SchemaSources, SecretSources};
use found::Found;
use input::Input;

/// Recognises bytes, and prints what is in them
///
/// It knows TL objects, plain and encrypted envelopes, frames, the first bytes of every transport, links of proxies, and
/// secrets. Offsets are hexadecimal. Bytes that can be several things are shown as the most likely one.
///
/// For example: `chappe decode 6b18f9c4`, `chappe decode frame.bin --key-log keys.log`,
/// `chappe decode 'tg://proxy?server=example.com&port=443&secret=dd…'`.
#[derive(clap::Args)]
pub(crate) struct Decode {
    /// Hexadecimal digits, base64, a link, or a file with bytes or one of these; `-` is standard input
    #[arg(value_name = "HEX|FILE")]
    input: String,
    #[command(flatten)]
    schemas: SchemaSources,
    #[command(flatten)]
    keys: KeySources,
    #[command(flatten)]
    secrets: SecretSources,
}

/// What bytes are compared with.
struct Known {
    names: SchemaNames,
    keys: Keys,
    secrets: Vec<ProxySecret>,
    shows_secrets: bool,
}

impl Decode {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let known = Known {
            names: self.schemas.read()?,
            keys: self.keys.read()?,
            secrets: self.secrets.read()?,
            shows_secrets: output.shows_secrets(),
        };
        let found = match Input::read(&self.input)? {
            Input::Link(link) => Found::link(&link, &known)?,
            Input::Secret(secret) => Found::secret(&secret, &known),
            Input::Bytes(bytes) => {
                known.recognise(&bytes).ok_or_else(|| Failure::input(unrecognised(&bytes)))?
            }
        };
        output.report(&found)?;
        Ok(Status::Done)
    }
}

impl Known {
    /// Returns the most likely meaning of bytes.
    ///
    /// What has a checksum, a key or an id of a schema comes first, what only has a plausible length comes last.
    fn recognise(&self, bytes: &[u8]) -> Option<Found> {
        let explored = self.names.explore(bytes, None);
        if explored.error.is_none() {
            return Some(Found::object(&explored));
        }
        None.or_else(|| frame::plain(bytes, self))
            .or_else(|| frame::opened(bytes, self))
            .or_else(|| frame::error(bytes))
            .or_else(|| stream::transport(bytes, self))
            .or_else(|| frame::framed(bytes, self))
            .or_else(|| self.bare_secret(bytes))
            .or_else(|| explored.value.as_object().map(|_| Found::object(&explored)))
            .or_else(|| frame::sealed(bytes))
    }

    /// Secrets are told by their length and mark.
    fn bare_secret(&self, bytes: &[u8]) -> Option<Found> {
        ProxySecret::from_bytes(bytes).ok().map(|secret| Found::secret(&secret, self))
    }
}

/// Both sides, the more likely one first.
const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn unrecognised(bytes: &[u8]) -> String {
    let first = frame::digits(&bytes[..bytes.len().min(8)]);
    match bytes.len() {
        0 => "there are no bytes to decode".into(),
        len => format!(
            "{len} bytes that begin with {first} are no object of the schema, envelope, frame, transport, link or secret"
        ),
    }
}
