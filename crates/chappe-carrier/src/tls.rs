//! TLS on the client's side, by `rustls`, over bytes in memory.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::error::LinkError;

/// Settings of TLS: trusted roots and versions.
///
/// The default trusts the root certificates of Mozilla, and allows versions 1.3 and 1.2.
#[derive(Clone)]
pub struct TlsOptions(Arc<ClientConfig>);

impl TlsOptions {
    /// Uses another configuration, for example one that trusts a company's root.
    pub const fn new(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        static MOZILLA: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let builder = builder.expect("ring has the suites of both versions");
            Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
        });
        Self(Arc::clone(&MOZILLA))
    }
}

impl PartialEq for TlsOptions {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TlsOptions {}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsOptions { .. }")
    }
}

/// One TLS connection.
#[derive(Debug)]
pub(crate) struct Tls(Box<ClientConnection>);

impl Tls {
    /// Begins a connection to this host; `ClientHello` is appended to `out`.
    pub(crate) fn start(options: &TlsOptions, host: &str, out: &mut Vec<u8>) -> Result<Self, LinkError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| LinkError::Tls(format!("{host} is not a host name")))?;
        let connection =
            ClientConnection::new(Arc::clone(&options.0), name).map_err(|error| refused(&error))?;
        let mut tls = Self(Box::new(connection));
        tls.write_out(out)?;
        Ok(tls)
    }

    /// Returns whether the handshake is still running.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Decrypts bytes of the socket. Bytes that TLS sends on its own are appended to `out`.
    pub(crate) fn receive(&mut self, mut raw: &[u8], out: &mut Vec<u8>) -> Result<Vec<u8>, LinkError> {
        let mut plain = Vec::new();
        while !raw.is_empty() {
            self.0.read_tls(&mut raw)?;
            if let Err(error) = self.0.process_new_packets() {
                // Sends the alert that names the error.
                self.write_out(out)?;
                return Err(refused(&error));
            }
            match self.0.reader().read_to_end(&mut plain) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.write_out(out)?;
        Ok(plain)
    }

    /// Encrypts bytes and appends them to `out`.
    pub(crate) fn send(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        while !bytes.is_empty() {
            // rustls accepts as much as its own buffer has room for.
            let count = self.0.writer().write(bytes)?;
            bytes = &bytes[count..];
            self.write_out(out)?;
        }
        Ok(())
    }

    /// Appends `close_notify`.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        self.0.send_close_notify();
        // Writing to memory does not fail.
        let _ = self.write_out(out);
    }

    fn write_out(&mut self, out: &mut Vec<u8>) -> Result<(), LinkError> {
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(())
    }
}

fn refused(error: &rustls::Error) -> LinkError {
    LinkError::Tls(error.to_string())
}
