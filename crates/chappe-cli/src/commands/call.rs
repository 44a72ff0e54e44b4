//! `chappe call`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use chappe::authentication::Environment;
use chappe::dynamic::{AnyObject, Decoder, Schema, Value, encode_object, schemas};
use chappe::net::{InvokeOptions, blocking};
use serde::{Serialize, Serializer};

use crate::application::Application;
use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::{Output, Report};
use crate::reach::{Place, Reach};
use crate::secrets::Passcode;
use crate::sessions;

/// Makes one call of the API, from JSON with the names of the schema, and prints the answer
///
/// In JSON, an object names its constructor in the field "_"; bytes are hexadecimal digits; absent flags are left out.
/// Methods that need no login, such as help.getConfig, need no session.
///
/// For example: `chappe call help.getConfig --at embedded`,
/// `chappe call users.getUsers '{"id":[{"_":"inputUserSelf"}]}' --session keys`.
#[derive(clap::Args)]
pub(crate) struct Call {
    /// The method
    method: String,
    /// Its parameters; `-` reads them from standard input, `@FILE` from a file
    #[arg(value_name = "JSON", default_value = "{}")]
    params: String,
    /// A datacenter's number, HOST:PORT, or `embedded`; without it, the datacenter of the session, or 2
    #[arg(long, value_name = "DC|ADDRESS")]
    at: Option<Place>,
    /// A session, as `chappe session show` reads it: a key store, or a file or string of another library
    #[arg(long, value_name = "FILE|STRING", env = "CHAPPE_SESSION", hide_env_values = true)]
    session: Option<String>,
    #[command(flatten)]
    passcode: Passcode,
    #[command(flatten)]
    application: Application,
    #[command(flatten)]
    reach: Reach,
}

impl Call {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let schema = schemas::all();
        let call = self.encoded(schema)?;
        let answer_type = AnyObject::from_bytes(schema, &call)
            .or_blame(Blame::Input, format_args!("{} is no function", self.method))?
            .answer_type();
        let answer = self.invoke(&call)?;
        let value = Decoder::new(schema)
            .value(&answer_type, &answer)
            .or_blame(Blame::Protocol, format_args!("the answer is no {answer_type} of this layer"))?;
        output.report(&Answer(value))?;
        Ok(Status::Done)
    }

    /// Reads the JSON, and encodes the call.
    fn encoded(&self, schema: &Schema) -> Result<Vec<u8>> {
        let name = chappe::schema::Name::new(&self.method);
        if schema.function(&name).is_none() {
            return Err(unknown_method(schema, &self.method));
        }
        let text = match self.params.as_str() {
            "-" => io::read_to_string(io::stdin()).or_blame(Blame::Input, "cannot read standard input")?,
            params => match params.strip_prefix('@') {
                Some(path) => {
                    fs::read_to_string(path).or_blame(Blame::Input, format_args!("cannot read {path}"))?
                }
                None => params.to_owned(),
            },
        };
        let mut json: serde_json::Value =
            serde_json::from_str(&text).or_blame(Blame::Input, "the parameters are no JSON")?;
        let fields = json
            .as_object_mut()
            .ok_or_else(|| Failure::input("the parameters are no JSON object, such as {\"limit\":1}"))?;
        fields.insert("_".into(), self.method.clone().into());
        encode_object(schema, &json).map_err(|error| Failure::of(Blame::Input, &error))
    }

    /// Connects, makes the call, and returns the answer.
    fn invoke(&self, call: &[u8]) -> Result<Vec<u8>> {
        let (mut place, mut key, mut store) = (None, None, None);
        if let Some(source) = &self.session {
            let found = sessions::read(source, &self.passcode)?;
            let session = found.sessions.first().ok_or_else(|| Failure::input("the session has no key"))?;
            place = Some(Place::Datacenter(session.dc));
            if found.library == "chappe" {
                // What the datacenter tells of salts and clocks is kept.
                store = Some(sessions::open_store(Path::new(source))?);
            } else {
                key = Some((session.to_key_material(), session.environment));
            }
        }
        let place = self.at.clone().or(place).unwrap_or(Place::Datacenter(2));
        let target = self.reach.target(&place)?;
        let mut options = self.reach.connect_options(&target)?.with_init(self.application.init()?);
        if let Some((key, environment)) = key {
            if environment.is_some_and(|environment| environment != target.dc.environment()) {
                let of = if environment == Some(Environment::Test) {
                    "the test environment"
                } else {
                    "production"
                };
                return Err(Failure::input(format!("the session is of {of}, and {} is not", target.dc)));
            }
            options = options.with_key(key);
        }
        if let Some(store) = store {
            options = options.with_store(Arc::new(store));
        }
        let client = blocking::connect(options)?;
        let answer = client.invoke_bytes(call, &InvokeOptions::default()).wait();
        client.close().wait();
        answer.map_err(|error| {
            let hint = error.migrate_to().map(|dc| format!(" (try --at {dc})")).unwrap_or_default();
            let failure = Failure::from(error);
            Failure::new(failure.blame, format!("{failure}{hint}"))
        })
    }
}

/// Names methods that are spelled alike.
fn unknown_method(schema: &Schema, method: &str) -> Failure {
    let wanted = method.to_lowercase();
    let last = wanted.rsplit('.').next().unwrap_or(&wanted);
    let names = schema.functions().map(|function| function.name.to_string());
    let mut alike: Vec<String> = names.filter(|name| name.to_lowercase().contains(last)).collect();
    alike.sort_by_key(String::len);
    alike.truncate(3);
    let hint = if alike.is_empty() { String::new() } else { format!(": did you mean {}?", alike.join(", ")) };
    Failure::input(format!("there is no method `{method}`{hint}"))
}

/// An answer of the API.
struct Answer<'s>(Value<'s>);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Report for Answer<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let text = self.0.to_string();
        writeln!(out, "{}", text.trim_end())
    }
}
