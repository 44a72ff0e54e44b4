//! Buffers that connections share: each holds one only while bytes pass.

use std::sync::Mutex;

use chappe_carrier::lock;

/// Most unused buffers that are kept.
const KEPT: usize = 64;

/// A pool of empty buffers with room for one read.
#[derive(Debug)]
pub(crate) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    window: usize,
}

impl Buffers {
    /// Makes a pool of buffers for reads of `window` bytes.
    pub(crate) const fn new(window: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), window }
    }

    /// Returns the number of bytes of one read.
    pub(crate) const fn window(&self) -> usize {
        self.window
    }

    pub(crate) fn take(&self) -> Vec<u8> {
        let free = lock(&self.free).pop();
        // Room for the headers of records, so that a full read needs no second allocation.
        free.unwrap_or_else(|| Vec::with_capacity(self.window + self.window / 256 + 256))
    }

    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        // One that grew, for a framing that takes more room, is not worth keeping.
        if (self.window..=4 * self.window).contains(&buffer.capacity()) {
            let mut free = lock(&self.free);
            if free.len() < KEPT {
                free.push(buffer);
            }
        }
    }
}
