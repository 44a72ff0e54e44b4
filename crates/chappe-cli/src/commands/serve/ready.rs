//! What clients need to know, in the forms of several libraries.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use chappe::loopback::Loopback;
use chappe::server::ServerCounters;
use chappe::transport::ProxySecret;
use serde::Serialize;

use super::folder::Folder;
use crate::failure::{Blame, OrBlame as _, Result};
use crate::output::{DIM, GOOD, NAME, Output, Report, bytes};

/// A datacenter that accepts clients.
#[derive(Serialize)]
#[serde(tag = "event", rename = "ready")]
pub(super) struct Ready {
    dc: i32,
    address: SocketAddr,
    /// The public key, PEM.
    public_key: String,
    public_key_file: Option<PathBuf>,
    fingerprint: String,
    mtproxy_links: Vec<String>,
    telethon: String,
    pyrogram: String,
    #[serde(skip)]
    keeps_keys: bool,
}

impl Ready {
    pub(super) fn new(
        server: &Loopback,
        public_key_file: Option<PathBuf>,
        folder: Option<&Folder>,
        secrets: &[ProxySecret],
        output: &Output,
    ) -> Result<Self> {
        let (address, key) = (server.address(), server.public_key());
        let public_key = key.to_pem().or_blame(Blame::Machine, "cannot write the RSA key")?;
        let (host, port, dc) = (address.ip(), address.port(), server.dc());
        let link = |secret: &ProxySecret| {
            format!("tg://proxy?server={host}&port={port}&secret={}", output.secret(secret.to_hex().as_str()))
        };
        let modulus = key.modulus().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let exponent = key.exponent().iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let pem = public_key_file.as_ref().map_or_else(
            || "PEM".to_owned(),
            |path| format!("open({:?}).read()", path.display().to_string()),
        );
        let number = dc.number();
        Ok(Self {
            dc: dc.to_raw(),
            address,
            fingerprint: key.fingerprint().to_string(),
            mtproxy_links: secrets.iter().map(link).collect(),
            telethon: format!(
                "telethon.crypto.rsa.add_key({pem}, old=False); session.set_dc({number}, '{host}', {port})"
            ),
            pyrogram: format!(
                "pyrogram.crypto.rsa.server_public_keys[{}] = pyrogram.crypto.rsa.PublicKey(0x{modulus}, {exponent})",
                key.fingerprint().to_raw()
            ),
            public_key,
            public_key_file,
            keeps_keys: folder.is_some(),
        })
    }
}

impl Report for Ready {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { dc, address, fingerprint, .. } = self;
        writeln!(out, "{GOOD}Datacenter {dc} serves on {address}{GOOD:#}, every transport, until Ctrl-C")?;
        writeln!(out, "{NAME}RSA key{NAME:#}   {fingerprint}")?;
        if let Some(path) = &self.public_key_file {
            let path = path.display();
            writeln!(out, "          in {path}")?;
            writeln!(out, "{NAME}chappe{NAME:#}    chappe ping {address} --rsa-key {path}")?;
        } else {
            writeln!(out, "{}", self.public_key.trim_end())?;
        }
        writeln!(out, "{NAME}Telethon{NAME:#}  {}", self.telethon)?;
        writeln!(out, "{NAME}Pyrogram{NAME:#}  {}", self.pyrogram)?;
        writeln!(
            out,
            "{NAME}TDLib{NAME:#}     has no setting for address and key: see interoperation in the book"
        )?;
        for link in &self.mtproxy_links {
            writeln!(out, "{NAME}MTProxy{NAME:#}   {link}")?;
        }
        if !self.keeps_keys {
            writeln!(out, "{DIM}The keys are new in each run; --keys FOLDER keeps them{DIM:#}")?;
        }
        Ok(())
    }
}

/// What the sockets counted.
#[derive(Serialize)]
#[serde(tag = "event", rename = "stopped")]
pub(super) struct Stopped {
    connections: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl From<ServerCounters> for Stopped {
    fn from(counters: ServerCounters) -> Self {
        Self { connections: counters.accepted, bytes_in: counters.bytes_in, bytes_out: counters.bytes_out }
    }
}

impl Report for Stopped {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (received, sent) = (bytes(self.bytes_in), bytes(self.bytes_out));
        writeln!(out, "{} connections, {received} received, {sent} sent", self.connections)
    }
}
