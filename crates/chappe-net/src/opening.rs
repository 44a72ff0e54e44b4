//! The beginning of a client's connection, from the first byte to the first frame; who waits is the driver's
//! business.
//!
//! ```text
//! loop {
//!     /* write what `output` gives */
//!     let Some(wait) = opening.awaits() else { break };
//!     /* read into `space`, then `commit` */
//! }
//! let (outgoing, ingoing) = opening.finish();
//! ```

use core::mem;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::{Connect, Connection, ExpectServerHello, Limits, ReadBuf};

use crate::error::{LinkError, Wait};
use crate::link::{Ingoing, Outgoing, join};
use crate::options::DialOptions;
use crate::proxy::{Negotiation, ProxyError};

/// A connection that was just made, to the datacenter or to what stands in between.
#[derive(Debug)]
pub(crate) struct Opening<'o> {
    options: &'o DialOptions,
    stage: Stage,
    out: Vec<u8>,
    buf: ReadBuf,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one for each connection, on the stack")]
enum Stage {
    /// The proxy has not said yet that bytes go through.
    Proxy(Negotiation),
    /// The answer under fake TLS is missing.
    Hello(ExpectServerHello),
    Ready(Connection),
    /// Only while one stage becomes another, or after an error.
    Over,
}

impl<'o> Opening<'o> {
    /// Begins; `target` is the datacenter's address, or an `MTProxy`'s.
    pub(crate) fn start(
        options: &'o DialOptions,
        target: SocketAddr,
        rng: &mut Drbg,
    ) -> Result<Self, LinkError> {
        let buf = ReadBuf::new(&Limits::DEFAULT);
        let mut opening = Self { options, stage: Stage::Over, out: Vec::new(), buf };
        match &options.proxy {
            None => opening.start_transport(rng)?,
            Some(proxy) => {
                opening.stage = Stage::Proxy(Negotiation::start(proxy, target, &mut opening.out)?);
            }
        }
        Ok(opening)
    }

    /// Returns what is to be written now.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        mem::take(&mut self.out)
    }

    /// Returns what is to be waited for, or `None` once the connection stands.
    pub(crate) fn awaits(&self) -> Option<Wait> {
        match self.stage {
            Stage::Proxy(_) => Some(Wait::Proxy),
            Stage::Hello(_) | Stage::Over => Some(Wait::FirstBytes),
            Stage::Ready(_) => None,
        }
    }

    /// Returns how long that may take.
    pub(crate) fn patience(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Proxy => self.options.proxy_timeout,
            _ => self.options.hello_timeout,
        }
    }

    /// Returns room to read into.
    pub(crate) fn space(&mut self) -> Result<&mut [u8], LinkError> {
        Ok(self.buf.space()?)
    }

    /// Looks at `count` bytes that were read; none means that the peer closed the connection.
    pub(crate) fn commit(&mut self, count: usize, rng: &mut Drbg) -> Result<(), LinkError> {
        if count == 0 {
            return Err(match self.stage {
                Stage::Proxy(_) => ProxyError::Closed.into(),
                _ => LinkError::Closed,
            });
        }
        self.buf.commit(count);
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Proxy(mut negotiation) => {
                if negotiation.handle(&mut self.buf, &mut self.out)? {
                    self.start_transport(rng)?;
                } else {
                    self.stage = Stage::Proxy(negotiation);
                }
            }
            Stage::Hello(state) => {
                let connect = state.handle(&mut self.buf)?;
                self.on_connect(connect);
            }
            other => self.stage = other,
        }
        Ok(())
    }

    /// Returns both halves.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] if something is still awaited.
    pub(crate) fn finish(self) -> Result<(Outgoing, Ingoing), LinkError> {
        match self.stage {
            Stage::Ready(connection) => Ok(join(connection, self.buf)),
            _ => Err(LinkError::Closed),
        }
    }

    fn start_transport(&mut self, rng: &mut Drbg) -> Result<(), LinkError> {
        let unix_time = UnixTime::now().to_tl_int() as u32;
        let connect = self.options.connector.start(unix_time, rng, &mut self.out)?;
        self.on_connect(connect);
        Ok(())
    }

    fn on_connect(&mut self, connect: Connect) {
        self.stage = match connect {
            Connect::Ready(connection) => Stage::Ready(connection),
            Connect::FakeTls(state) => Stage::Hello(state),
        };
    }
}

/// What it means that `wait` was in vain.
pub(crate) fn in_vain(waiting_for: Wait, after: Duration) -> LinkError {
    match waiting_for {
        Wait::Proxy => ProxyError::TimedOut { after }.into(),
        _ => LinkError::TimedOut { waiting_for, after },
    }
}

/// What it means that the connection broke while `waiting_for` something.
pub(crate) fn broken(waiting_for: Wait, error: io::Error) -> LinkError {
    match waiting_for {
        Wait::Proxy => ProxyError::Unreachable(error).into(),
        _ => error.into(),
    }
}

/// What it means that no connection was made.
pub(crate) fn unreachable(options: &DialOptions, error: LinkError) -> LinkError {
    match (&options.proxy, error) {
        (Some(_), LinkError::Io(error)) => ProxyError::Unreachable(error).into(),
        (Some(_), LinkError::TimedOut { after, .. }) => {
            let text = format!("no connection for {after:?}");
            ProxyError::Unreachable(io::Error::new(io::ErrorKind::TimedOut, text)).into()
        }
        (_, error) => error,
    }
}
