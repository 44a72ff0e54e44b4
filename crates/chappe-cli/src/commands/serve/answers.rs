//! Answers from a file, and updates from standard input, both as JSON with the names of the schema.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use chappe::dynamic::{Schema, encode, encode_object, schemas};
use chappe::loopback::{Loopback, Options};
use chappe::schema::{Name, Type};
use chappe::server::{Reply, Router, RpcError};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::failure::{Blame, Failure, OrBlame as _, Result};
use crate::output::{Output, Report, count};

/// An error instead of an answer, by its name in the schema.
#[derive(Deserialize)]
struct NamedError {
    error_code: i32,
    error_message: String,
}

/// Answers the methods of a file: `{"help.getNearestDc": {"_": "nearestDc", …}, …}`.
pub(super) fn from_file(mut options: Options, path: &Path) -> Result<Options> {
    let name = path.display();
    let text = fs::read_to_string(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    let answers: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&text).or_blame(Blame::Input, format_args!("{name} is no JSON object"))?;
    let schema = schemas::all();
    for (method, json) in answers {
        let function = schema.function(&Name::new(&method));
        let function =
            function.ok_or_else(|| Failure::input(format!("{name}: there is no method `{method}`")))?;
        let answer = answer(schema, &function.result, &json)
            .map_err(|failure| failure.while_doing(format_args!("{name}: {method}")))?;
        let answered = move |_| {
            let answer = answer.clone();
            async move { answer }
        };
        options = options.router(Router::new().on_raw(function.id, answered));
    }
    Ok(options)
}

/// Encodes an answer, or an `rpc_error` in its place.
fn answer(
    schema: &Schema,
    ty: &Type,
    json: &serde_json::Value,
) -> Result<core::result::Result<Reply, RpcError>> {
    if json["_"] == "rpc_error" {
        let error = NamedError::deserialize(json).or_blame(Blame::Input, "not an rpc_error")?;
        return Ok(Err(RpcError::new(error.error_code, error.error_message)));
    }
    encode(schema, ty, json)
        .map(|object| Ok(object.into()))
        .map_err(|error| Failure::of(Blame::Input, &error))
}

/// Reads the lines of standard input in a thread, which ends with the program.
pub(super) fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Sends an update to every client that is connected. A line that cannot be read is reported, and the server goes on.
pub(super) fn push(server: &Loopback, line: &str, output: &mut Output) -> Result<()> {
    if line.trim().is_empty() {
        return Ok(());
    }
    let update = serde_json::from_str::<serde_json::Value>(line)
        .or_blame(Blame::Input, "an update is no JSON")
        .and_then(|json| {
            encode_object(schemas::all(), &json).map_err(|error| Failure::of(Blame::Input, &error))
        });
    match update {
        Ok(update) => output.event(&Pushed { sessions: server.push(&update) }),
        Err(failure) => output.event(&NotPushed { error: failure.to_string() }),
    }
}

/// An update was sent.
#[derive(Serialize)]
#[serde(tag = "event", rename = "pushed")]
struct Pushed {
    sessions: usize,
}

impl Report for Pushed {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "pushed to {}", count(self.sessions, "session"))
    }
}

/// An update cannot be read.
#[derive(Serialize)]
#[serde(tag = "event", rename = "not_pushed")]
struct NotPushed {
    error: String,
}

impl Report for NotPushed {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "not pushed: {}", self.error)
    }
}
