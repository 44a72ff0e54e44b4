//! Which rows of a struct are on the wire, as its flags words say.

use super::Field;

/// How many rows are looked at together.
pub(super) const WINDOW: usize = u64::BITS as usize;

/// The flags words of a struct, as far as they were read.
pub(super) struct Flags {
    /// By number. Words that are not read yet, or that no schema has, say yes: that is where [`Field::ALWAYS`] points.
    words: [u32; 8],
}

impl Flags {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { words: [u32::MAX; 8] }
    }

    /// Notes the word that stands in this row.
    #[inline(always)]
    pub(super) fn set(&mut self, row: Field, word: u32) {
        self.words[usize::from(row.word() & 3)] = word;
    }

    /// Returns whether the bit with this number is set.
    #[inline(always)]
    pub(super) fn has(&self, condition: u8) -> bool {
        self.words[usize::from(condition >> 5)] >> (condition & 31) & 1 != 0
    }

    /// Says which of these rows are to be read: bit 0 is the first one, and what follows behind the [`WINDOW`] is left out.
    ///
    /// Most rows of a large object are not there, and which ones are differs from object to object, so the processor
    /// would guess wrong at many a branch. There is none here, and what is then read are only rows that are there.
    #[inline(always)]
    pub(super) fn choose(&self, rows: &[Field]) -> u64 {
        let window = &rows[..rows.len().min(WINDOW)];
        window.iter().rev().fold(0, |there, row| there << 1 | u64::from(self.has(row.visit)))
    }

    /// The same for the rows behind this flags word. What follows behind the next one is left out: it depends on that.
    #[inline(always)]
    pub(super) fn choose_behind(&self, word: Field, rows: &[Field]) -> u64 {
        let own = usize::from(word.visit - Field::ALWAYS);
        self.choose(&rows[..own.min(rows.len())])
    }
}
