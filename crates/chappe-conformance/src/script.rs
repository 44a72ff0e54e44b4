//! Randomness that was written down before.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// A source of "random" bytes that gives out a prepared script and panics at its end.
#[derive(Clone, Debug)]
pub struct Script {
    bytes: Vec<u8>,
    position: usize,
}

impl Script {
    /// Takes the bytes to give out, in order.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), position: 0 }
    }

    /// Returns whether every byte was asked for.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.position == self.bytes.len()
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let end = self.position + dst.len();
        let scripted = self.bytes.get(self.position..end);
        dst.copy_from_slice(scripted.expect("the script is long enough for what the code under test draws"));
        self.position = end;
        Ok(())
    }
}

impl TryCryptoRng for Script {}
