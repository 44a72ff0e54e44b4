//! The client's side of a new connection.
//!
//! [`Connector::start`] returns the first bytes to send. Without fake TLS, the connection is then ready. With fake TLS, the
//! client waits for one answer:
//!
//! ```text
//! let mut connect = connector.start(unix_time, rng, &mut out)?;        // send `out`
//! let connection = loop {
//!     match connect {
//!         ConnectStep::Ready(connection) => break connection,
//!         ConnectStep::FakeTls(state) => { /* read into `buf` */ connect = state.handle(&mut buf)?; }
//!     }
//! };
//! ```

use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::Side;
use rand_core::CryptoRng;

use crate::error::{TransportError, TransportMisuse};
use crate::fake_tls::hello::HelloTemplate;
use crate::fake_tls::profile::HelloProfile;
use crate::fake_tls::record::{RecordReader, RecordWriter};
use crate::fake_tls::{AnswerCheck, RANDOM, sign_client_hello};
use crate::framing::Framing;
use crate::limits::ConnectionLimits;
use crate::obfuscation::{HEADER_LEN, Obfuscation};
use crate::read_buf::ReadBuf;
use crate::secret::{Domain, ProxySecret, SecretKey, SecretKind};
use crate::stream::Connection;
use chappe_types::DcId;

/// The transport of a client's connections. One connector serves every connection to the same endpoint.
#[derive(Clone, Debug)]
pub struct Connector {
    framing: Framing,
    disguise: Disguise,
    limits: ConnectionLimits,
}

#[derive(Clone, Debug)]
enum Disguise {
    None,
    Obfuscated { dc: Option<DcId>, key: Option<SecretKey>, padding: Demand },
    FakeTls { dc: Option<DcId>, key: SecretKey, domain: Domain, hello: Hello },
}

/// The hello of fake TLS.
#[derive(Clone, Debug)]
enum Hello {
    /// The profile of a browser, drawn for each connection.
    Drawn,
    Fixed(HelloTemplate),
}

/// The framing that a secret requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    AnyTagged,
    Padded,
}

impl Connector {
    /// Returns a connector for connections without obfuscation.
    pub const fn plain(framing: Framing) -> Self {
        Self { framing, disguise: Disguise::None, limits: ConnectionLimits::DEFAULT }
    }

    /// Returns a connector for obfuscated connections without a proxy, also inside a WebSocket (`SEC-139`).
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::FullCannotBeObfuscated`].
    pub const fn obfuscated(framing: Framing, dc: Option<DcId>) -> Result<Self, TransportError> {
        if framing.tag().is_none() {
            return Err(TransportError::Misuse(TransportMisuse::FullCannotBeObfuscated));
        }
        let disguise = Disguise::Obfuscated { dc, key: None, padding: Demand::AnyTagged };
        Ok(Self { framing, disguise, limits: ConnectionLimits::DEFAULT })
    }

    /// Returns a connector for connections through a proxy, or to an endpoint whose `dcOption` has a secret.
    ///
    /// The framing is the one that the secret requires, or else intermediate; see [`with_framing`](Self::with_framing). The
    /// proxy is untrusted (`SEC-150`).
    pub fn proxy(secret: &ProxySecret, dc: DcId) -> Self {
        let (key, dc) = (secret.key().clone(), Some(dc));
        let obfuscated = |key, padding| Disguise::Obfuscated { dc, key: Some(key), padding };
        let (framing, disguise) = match secret.kind() {
            // The form of the secret decides: proxies with `dd` and `ee` secrets accept padded framing alone.
            SecretKind::Plain => (Framing::Intermediate, obfuscated(key, Demand::AnyTagged)),
            SecretKind::Padded => (Framing::PaddedIntermediate, obfuscated(key, Demand::Padded)),
            SecretKind::FakeTls { domain } => {
                let (domain, hello) = (domain.clone(), Hello::Drawn);
                (Framing::PaddedIntermediate, Disguise::FakeTls { dc, key, domain, hello })
            }
        };
        Self { framing, disguise, limits: ConnectionLimits::DEFAULT }
    }

    /// Replaces the framing.
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::FullCannotBeObfuscated`], or [`TransportMisuse::PaddingRequired`] if the secret demands
    /// padding.
    pub fn with_framing(mut self, framing: Framing) -> Result<Self, TransportError> {
        let hidden = !matches!(self.disguise, Disguise::None);
        if hidden && framing.tag().is_none() {
            return Err(TransportMisuse::FullCannotBeObfuscated.into());
        }
        if self.padding_required() && framing != Framing::PaddedIntermediate {
            return Err(TransportMisuse::PaddingRequired.into());
        }
        self.framing = framing;
        Ok(self)
    }

    /// Replaces the bounds.
    #[must_use]
    pub const fn with_limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Replaces the hello of fake TLS, if it is used. By default each connection draws one of [`HelloProfile::ALL`].
    #[must_use]
    pub fn with_hello(mut self, template: HelloTemplate) -> Self {
        if let Disguise::FakeTls { hello, .. } = &mut self.disguise {
            *hello = Hello::Fixed(template);
        }
        self
    }

    /// Uses the hello of one browser for fake TLS, if it is used.
    #[must_use]
    pub fn with_profile(self, profile: &HelloProfile) -> Self {
        self.with_hello(profile.template())
    }

    /// Returns whether connections are obfuscated, as WebSocket demands (`SEC-139`).
    pub const fn is_obfuscated(&self) -> bool {
        !matches!(self.disguise, Disguise::None)
    }

    /// Returns whether the peer must know a secret, as an `MTProxy` does: with another one it closes the connection without a
    /// word, or answers like a web site.
    pub const fn has_secret(&self) -> bool {
        matches!(self.disguise, Disguise::FakeTls { .. } | Disguise::Obfuscated { key: Some(_), .. })
    }

    /// Returns the framing.
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Starts a connection and appends the first bytes to send to `out`, if there are any.
    ///
    /// They may be sent together with the first frame. Only fake TLS uses `unix_time` (seconds): proxies reject clocks that
    /// are minutes off. The bytes must not be sent on a second connection (`SEC-142`): call this method for each.
    ///
    /// # Errors
    ///
    /// [`TransportMisuse::BadHelloTemplate`] if a replaced hello cannot be used.
    pub fn start<R: CryptoRng + ?Sized>(
        &self,
        unix_time: u32,
        rng: &mut R,
        out: &mut Vec<u8>,
    ) -> Result<ConnectStep, TransportError> {
        let (framing, limits) = (self.framing, self.limits);
        match &self.disguise {
            Disguise::None => {
                out.extend_from_slice(framing.prefix());
                Ok(ConnectStep::Ready(Connection::plain(framing, Side::Client, limits)))
            }
            Disguise::Obfuscated { dc, key, .. } => {
                let (streams, header) = Obfuscation::client(framing, *dc, key.as_ref(), rng)?;
                out.extend_from_slice(&header);
                Ok(ConnectStep::Ready(Connection::obfuscated(framing, Side::Client, limits, streams)))
            }
            Disguise::FakeTls { dc, key, domain, hello } => {
                let mut record = match hello {
                    Hello::Drawn => HelloProfile::draw(rng).template().render(domain, rng)?,
                    Hello::Fixed(template) => template.render(domain, rng)?,
                };
                // The random field of the hello holds a digest under the secret, with the time in its last 4 bytes.
                sign_client_hello(&mut record, key, unix_time)?;
                let mut random = [0; 32];
                random.copy_from_slice(&record[RANDOM]);
                out.extend_from_slice(&record);
                let (streams, header) = Obfuscation::client(framing, *dc, Some(key), rng)?;
                let connection = Connection::obfuscated(framing, Side::Client, limits, streams);
                let key = key.clone();
                let check = AnswerCheck::default();
                Ok(ConnectStep::FakeTls(ExpectServerHello { key, random, header, connection, limits, check }))
            }
        }
    }

    const fn padding_required(&self) -> bool {
        match &self.disguise {
            Disguise::None => false,
            Disguise::Obfuscated { padding, .. } => matches!(padding, Demand::Padded),
            Disguise::FakeTls { .. } => true,
        }
    }
}

/// The next step of a client's new connection.
#[derive(Debug)]
pub enum ConnectStep {
    /// Frames can be sent.
    Ready(Connection),
    /// The server's answer is missing or incomplete.
    FakeTls(ExpectServerHello),
}

/// Waiting for a fake-TLS server's answer.
#[must_use = "the connection ends here unless the answer is handled"]
pub struct ExpectServerHello {
    key: SecretKey,
    random: [u8; 32],
    header: [u8; HEADER_LEN],
    connection: Connection,
    limits: ConnectionLimits,
    check: AnswerCheck,
}

impl ExpectServerHello {
    /// Processes the bytes that have arrived.
    ///
    /// Returns itself if the answer is incomplete. Returns the connection after the digest over exactly the answer's bytes
    /// matched in constant time (`SEC-147`). The first frame is sent together with the obfuscation header. Pass everything
    /// that one read returned: if an answer has several records of application data, nothing behind one means that it was the
    /// last.
    ///
    /// # Errors
    ///
    /// [`MalformedStream::ServerHello`](crate::MalformedStream::ServerHello) or [`StreamRefusal::ServerHelloDigest`](crate::StreamRefusal::ServerHelloDigest): close the connection.
    pub fn handle(self, buf: &mut ReadBuf) -> Result<ConnectStep, TransportError> {
        let mut this = self;
        let Some(len) = this.check.check(buf.raw(), &this.key, &this.random, &this.limits)? else {
            return Ok(ConnectStep::FakeTls(this));
        };
        buf.consume_raw(len);
        let (writer, reader) = (RecordWriter::client(this.header), RecordReader::new(Side::Server));
        Ok(ConnectStep::Ready(this.connection.inside_records(writer, reader)))
    }
}

impl fmt::Debug for ExpectServerHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpectServerHello { .. }")
    }
}
