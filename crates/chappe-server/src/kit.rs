//! What a connection works with: randomness and buffers. Those that work share a few kits, those that wait have none.

use std::sync::{Mutex, PoisonError};

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;

/// Kits that are kept for the next connection; more than so many seldom work at once.
#[cfg(feature = "tokio")]
const KEPT: usize = 8;

/// Memory that each of the buffers of a kept kit may hold: a part of a file of a MiB, in a vector that has doubled.
#[cfg(feature = "tokio")]
const KEPT_BYTES: usize = (2 << 20) + 4096;

/// Everything that a connection needs only while it works.
#[derive(Debug)]
pub struct Kit {
    pub(crate) rng: Drbg,
    /// The envelope that is being made or written.
    pub(crate) frame: FrameBuf,
    /// Bytes for the socket that do not lie in `frame`.
    pub(crate) out: Vec<u8>,
    /// Memory to read into; a connection that waits for the rest of something has it instead.
    pub(crate) input: Vec<u8>,
    /// The same where something stands between the socket and the stream.
    pub(crate) raw: Vec<u8>,
}

impl Kit {
    /// Puts a kit together.
    pub fn new(rng: Drbg) -> Self {
        Self { rng, frame: FrameBuf::new(), out: Vec::new(), input: Vec::new(), raw: Vec::new() }
    }

    #[cfg(feature = "tokio")]
    fn shrink(&mut self) {
        self.frame.clear();
        self.frame.shrink_to(KEPT_BYTES);
        self.out.clear();
        for memory in [&mut self.out, &mut self.input, &mut self.raw] {
            memory.truncate(KEPT_BYTES);
            memory.shrink_to(KEPT_BYTES);
        }
    }
}

/// The kits of a listener that nobody uses at present.
#[derive(Debug)]
pub struct Shelf(Mutex<Stock>);

#[derive(Debug)]
struct Stock {
    #[expect(
        clippy::vec_box,
        reason = "tasks take them along: a pointer is less to move, and to have room for"
    )]
    kits: Vec<Box<Kit>>,
    /// Seeds the generators of new kits.
    seeder: Drbg,
}

impl Shelf {
    /// Makes an empty pool; `seeder` seeds the generators of its kits.
    pub const fn new(seeder: Drbg) -> Self {
        Self(Mutex::new(Stock { kits: Vec::new(), seeder }))
    }

    /// Lends a kit; one that is not given back is replaced.
    pub fn take(&self) -> Box<Kit> {
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match stock.kits.pop() {
            Some(kit) => kit,
            None => Box::new(Kit::new(stock.seeder.fork())),
        }
    }

    /// Takes a kit back, which no connection has anything in any more. A thread keeps its own.
    #[cfg(feature = "tokio")]
    pub fn give(&self, mut kit: Box<Kit>) {
        kit.shrink();
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.kits.len() < KEPT {
            stock.kits.push(kit);
        }
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;

    #[test]
    fn a_kit_is_used_again_and_keeps_no_more_than_it_may() {
        let shelf = Shelf::new(Drbg::from_seed([1; 32]));
        let mut kit = shelf.take();
        kit.out.reserve(2 * KEPT_BYTES);
        kit.raw.resize(5000, 0);
        shelf.give(kit);
        let kit = shelf.take();
        assert!(kit.out.capacity() <= KEPT_BYTES && kit.raw.len() == 5000);
        let kits: Vec<_> = (0..2 * KEPT).map(|_| shelf.take()).collect();
        for kit in kits {
            shelf.give(kit);
        }
        assert_eq!(shelf.0.lock().expect("nobody panicked").kits.len(), KEPT);
    }
}
