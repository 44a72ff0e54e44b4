//! What bytes were found to be.

use std::fmt::Display;
use std::io::{self, Write};

use chappe::transport::{ProxyLink, ProxySecret, SecretKind, SocksLink};
use serde::Serialize;
use serde_json::Value as Json;

use super::Known;
use crate::failure::{Blame, OrBlame as _, Result};
use crate::output::{BAD, NAME, Report};
use crate::traffic::Explored;

/// A meaning of bytes.
#[derive(Serialize)]
pub(super) struct Found {
    /// A word for it.
    pub(super) kind: &'static str,
    /// What it is, in words.
    #[serde(skip)]
    pub(super) title: String,
    /// Its parts.
    pub(super) fields: Vec<Part>,
    /// The object in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<Json>,
    /// The object as a tree.
    #[serde(skip)]
    pub(super) tree: Option<String>,
    /// Why the object was not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    /// What is inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) inner: Vec<Found>,
}

/// A named part.
#[derive(Serialize)]
pub(super) struct Part {
    /// Where it begins, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<usize>,
    pub(super) name: &'static str,
    pub(super) value: String,
}

#[allow(clippy::needless_pass_by_value, reason = "values are numbers and short texts")]
impl Found {
    pub(super) fn new(kind: &'static str, title: impl Into<String>) -> Self {
        Self {
            kind,
            title: title.into(),
            fields: Vec::new(),
            object: None,
            tree: None,
            problem: None,
            inner: Vec::new(),
        }
    }

    /// Adds a part at an offset.
    pub(super) fn at(mut self, offset: usize, name: &'static str, value: impl Display) -> Self {
        self.fields.push(Part { offset: Some(offset), name, value: value.to_string() });
        self
    }

    /// Adds a part that has no place of its own.
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.fields.push(Part { offset: None, name, value: value.to_string() });
        self
    }

    pub(super) fn containing(mut self, inner: Self) -> Self {
        self.inner.push(inner);
        self
    }

    /// An object of the schema, perhaps read in part.
    pub(super) fn object(explored: &Explored) -> Self {
        let mut found = Self::new("object", "TL object");
        found.tree = Some(explored.value.to_string());
        found.object = serde_json::to_value(&explored.value).ok();
        found.problem.clone_from(&explored.error);
        found
    }

    /// A secret of a proxy, whose key is hidden unless secrets are asked for.
    pub(super) fn secret(secret: &ProxySecret, known: &Known) -> Self {
        let transport = match secret.kind() {
            SecretKind::Plain => "obfuscated, any framing",
            SecretKind::Padded => "obfuscated, padded intermediate",
            SecretKind::FakeTls { .. } => "fake TLS",
            _ => "of a kind that is not known",
        };
        let key = if known.shows_secrets {
            secret.to_hex().to_string()
        } else {
            "(hidden, see --show-secrets)".into()
        };
        let found = Self::new("secret", "secret of an MTProxy").with("transport", transport);
        let found = match secret.domain() {
            Some(domain) => found.with("domain", domain.as_str()),
            None => found,
        };
        found.with("secret", key)
    }

    pub(super) fn link(text: &str, known: &Known) -> Result<Self> {
        if let Ok(link) = SocksLink::parse(text) {
            let found = Self::new("socks_link", "link to a SOCKS5 proxy")
                .with("server", &link.server)
                .with("port", link.port);
            return Ok(match &link.user {
                Some(user) => found.with("user", user.as_str()),
                None => found,
            });
        }
        let link = ProxyLink::parse(text).or_blame(Blame::Input, "not a link to a proxy")?;
        Ok(Self::new("proxy_link", "link to an MTProxy")
            .with("server", &link.server)
            .with("port", link.port)
            .containing(Self::secret(&link.secret, known)))
    }

    fn write(&self, out: &mut dyn Write, level: usize) -> io::Result<()> {
        let margin = "  ".repeat(level);
        writeln!(out, "{margin}{NAME}{}{NAME:#}", self.title)?;
        for Part { offset, name, value } in &self.fields {
            match offset {
                Some(offset) => writeln!(out, "{margin}{offset:04x}   {name}: {value}")?,
                None => writeln!(out, "{margin}  {name}: {value}")?,
            }
        }
        for line in self.tree.iter().flat_map(|tree| tree.lines()) {
            writeln!(out, "{margin}{line}")?;
        }
        if let Some(problem) = &self.problem {
            writeln!(out, "{margin}{BAD}{problem}{BAD:#}")?;
        }
        self.inner.iter().try_for_each(|inner| inner.write(out, level + 1))
    }
}

impl Report for Found {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write(out, 0)
    }
}
