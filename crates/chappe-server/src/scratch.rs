//! Memory and randomness that connections share: each borrows them while it works.

use std::sync::Mutex;

use chappe_carrier::lock;
use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;

/// Scratches that are kept for the next connection. More connections rarely work at the same moment.
#[cfg(feature = "tokio")]
const KEPT: usize = 8;

/// Memory that each buffer of a kept scratch may hold: a file part of 1 MiB, in a vector that has doubled.
#[cfg(feature = "tokio")]
const KEPT_BYTES: usize = (2 << 20) + 4096;

/// Buffers and randomness that a connection needs only while it works.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) rng: Drbg,
    /// The envelope that is being made or written.
    pub(crate) frame: FrameBuf,
    /// Bytes for the socket that do not lie in `frame`.
    pub(crate) out: Vec<u8>,
    /// Memory to read into. A connection keeps it while part of a frame has arrived.
    pub(crate) input: Vec<u8>,
    /// The same for bytes of the socket, where there are layers between the socket and the stream.
    pub(crate) raw: Vec<u8>,
}

impl Scratch {
    /// Makes empty buffers.
    pub fn new(rng: Drbg) -> Self {
        Self { rng, frame: FrameBuf::new(), out: Vec::new(), input: Vec::new(), raw: Vec::new() }
    }

    /// Returns the envelope that is about to be written.
    pub const fn frame(&mut self) -> &mut FrameBuf {
        &mut self.frame
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

/// The scratches of a listener that no connection uses at present.
#[derive(Debug)]
pub struct ScratchPool(Mutex<Spare>);

#[derive(Debug)]
struct Spare {
    #[expect(clippy::vec_box, reason = "a task moves a pointer instead of the buffers' headers")]
    scratches: Vec<Box<Scratch>>,
    /// Seeds the generators of new scratches.
    seeder: Drbg,
}

impl ScratchPool {
    /// Makes an empty pool; `seeder` seeds the generators of its scratches.
    pub const fn new(seeder: Drbg) -> Self {
        Self(Mutex::new(Spare { scratches: Vec::new(), seeder }))
    }

    /// Takes a scratch out of the pool, or makes one.
    pub fn take(&self) -> Box<Scratch> {
        let mut spare = lock(&self.0);
        match spare.scratches.pop() {
            Some(scratch) => scratch,
            None => Box::new(Scratch::new(spare.seeder.fork())),
        }
    }

    /// Returns a scratch after [`release_memory`](crate::driver::Conversation::release_memory).
    #[cfg(feature = "tokio")]
    pub fn give(&self, mut scratch: Box<Scratch>) {
        scratch.shrink();
        let mut spare = lock(&self.0);
        if spare.scratches.len() < KEPT {
            spare.scratches.push(scratch);
        }
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_is_used_again_and_keeps_no_more_than_it_may() {
        let pool = ScratchPool::new(Drbg::from_seed([1; 32]));
        let mut scratch = pool.take();
        scratch.out.reserve(2 * KEPT_BYTES);
        scratch.raw.resize(5000, 0);
        pool.give(scratch);
        let scratch = pool.take();
        assert!(scratch.out.capacity() <= KEPT_BYTES && scratch.raw.len() == 5000);
        let scratches: Vec<_> = (0..2 * KEPT).map(|_| pool.take()).collect();
        for scratch in scratches {
            pool.give(scratch);
        }
        assert_eq!(pool.0.lock().expect("nobody panicked").scratches.len(), KEPT);
    }
}
