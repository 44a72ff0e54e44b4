//! Looks for secrets in the memory of this process.
//!
//! Secrets are remembered masked, so that remembering one is not finding one. A block counts as found if any 16 bytes of a secret,
//! taken at multiples of 16 and in either order (big numbers are kept from their small end), stand anywhere in a
//! mapping that can be written: heap in use and freed, stacks, statics.

use core::ops::Range;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};

const MASK: u8 = 0xa5;
const WINDOW: usize = 16;
const CHUNK: usize = 1 << 16;

/// Secrets to look for.
#[derive(Default)]
pub(crate) struct Secrets {
    windows: Vec<Window>,
}

struct Window {
    name: &'static str,
    masked: [u8; WINDOW],
}

/// The name of a secret, and an address where a part of it stands.
pub(crate) type Finding = (&'static str, usize);

impl Secrets {
    /// Remembers a secret of at least 16 bytes.
    pub(crate) fn add(&mut self, name: &'static str, secret: &[u8]) {
        assert!(
            secret.len() >= WINDOW && !secret.iter().all(|byte| *byte == secret[0]),
            "{name} is no secret"
        );
        for window in secret.chunks_exact(WINDOW) {
            let masked: [u8; WINDOW] = core::array::from_fn(|place| window[place] ^ MASK);
            let reversed = core::array::from_fn(|place| window[WINDOW - 1 - place] ^ MASK);
            self.windows.extend([masked, reversed].map(|masked| Window { name, masked }));
        }
    }

    /// Returns the names of the secrets, sorted.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let names: BTreeSet<_> = self.windows.iter().map(|window| window.name).collect();
        names.into_iter().collect()
    }

    /// Returns a block of memory with a secret as it was in its middle, where small blocks that take the place of the whole
    /// one do not reach so soon.
    pub(crate) fn copy_of(&self, name: &str) -> Vec<u8> {
        let mut copy = Vec::with_capacity(48 << 10);
        copy.resize(32 << 10, 0);
        // Of each two windows the second is the first one reversed.
        for window in self.windows.iter().filter(|window| window.name == name).step_by(2) {
            copy.extend(window.masked.iter().map(|byte| byte ^ MASK));
        }
        copy
    }

    /// Searches everything that this process can write but the stack of this thread.
    pub(crate) fn find_off_stack(&self) -> Vec<Finding> {
        let here = 0_u8;
        let here = &raw const here as usize;
        self.find_in(mappings().into_iter().filter(|range| !range.contains(&here)))
    }

    /// Searches everything that this process can write.
    pub(crate) fn find(&self) -> Vec<Finding> {
        self.find_in(mappings().into_iter())
    }

    fn find_in(&self, ranges: impl Iterator<Item = Range<usize>>) -> Vec<Finding> {
        let filter = self.filter();
        let mut chunk = vec![0; CHUNK + WINDOW];
        let own = chunk.as_ptr() as usize;
        let own = own..own + chunk.len();
        let mut memory = File::open("/proc/self/mem").expect("this process can read its own memory");
        let mut found = Vec::new();
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let len = (range.end - at).min(chunk.len());
                memory.seek(SeekFrom::Start(at as u64)).expect("a mapping can be reached");
                if memory.read_exact(&mut chunk[..len]).is_err() {
                    break; // gone, or a guard page
                }
                for (window, offset) in self.matches(&filter, &chunk[..len]) {
                    if !own.contains(&(at + offset)) {
                        found.push((self.windows[window].name, at + offset));
                    }
                }
                chunk.fill(0);
                at += CHUNK;
            }
        }
        found
    }

    /// A bit for each pair of bytes that a window begins with.
    fn filter(&self) -> Vec<bool> {
        let mut filter = vec![false; 1 << 16];
        for window in &self.windows {
            filter[pair(&window.masked)] = true;
        }
        filter
    }

    fn matches(&self, filter: &[bool], bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut next = 0;
        while next + WINDOW <= bytes.len() {
            let candidate = &bytes[next..next + WINDOW];
            if filter[usize::from(candidate[0] ^ MASK) << 8 | usize::from(candidate[1] ^ MASK)] {
                let is_it =
                    |window: &Window| window.masked.iter().zip(candidate).all(|(a, b)| *a == b ^ MASK);
                found.extend(self.windows.iter().position(is_it).map(|window| (window, next)));
            }
            next += 1;
        }
        found
    }
}

fn pair(masked: &[u8; WINDOW]) -> usize {
    usize::from(masked[0]) << 8 | usize::from(masked[1])
}

/// Returns the writable mappings of this process.
fn mappings() -> Vec<Range<usize>> {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux says what is mapped");
    let mapping = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let is_writable = fields.next()?.starts_with("rw");
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        is_writable.then_some(range)
    };
    maps.lines().filter_map(mapping).collect()
}
