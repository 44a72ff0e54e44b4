//! One direction of a connection of TCP, put back in order.

use std::collections::BTreeMap;

/// Most bytes that wait for earlier ones.
const MAX_WAITING: usize = 4 << 20;

/// Most segments that wait for earlier ones.
const MAX_SEGMENTS: usize = 4096;

/// Packets of the connection after which bytes that the receiver has confirmed are known to be missing from the capture:
/// until then they may follow out of order.
const PATIENCE: u32 = 64;

/// Farthest that a segment is ahead. Windows of TCP are smaller.
const MAX_AHEAD: i64 = 1 << 30;

/// A piece of a direction, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Bytes(&'a [u8]),
    Gap(u64),
}

/// Puts the segments of one direction in order.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The number of the next byte, counted from the first one; its low bits are the sequence number less `base`.
    next: u64,
    /// The sequence number of the first byte.
    base: Option<u32>,
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_bytes: usize,
    /// The number of the first byte that the receiver has not confirmed.
    confirmed: u64,
    /// Packets since the first segment began to wait.
    patience: u32,
    /// The number of the byte behind the last one, if the sender has told it.
    end: Option<u64>,
}

impl Assembler {
    /// Begins with the byte of this sequence number.
    pub(super) fn begin(&mut self, seq: u32) {
        *self = Self { base: Some(seq), ..Self::default() };
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.base.is_some()
    }

    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes a segment, and passes what is in order to `out`.
    pub(super) fn handle(&mut self, seq: u32, payload: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        if payload.is_empty() {
            return;
        }
        let base = *self.base.get_or_insert(seq);
        let ahead = self.ahead(base, seq);
        if ahead > 0 {
            if ahead <= MAX_AHEAD {
                self.keep(self.next + ahead as u64, payload);
            }
        } else if let Some(new) = payload.get(ahead.unsigned_abs() as usize..).filter(|new| !new.is_empty()) {
            out(Piece::Bytes(new));
            self.next += new.len() as u64;
        }
        self.flush(out);
        if self.waiting_bytes > MAX_WAITING || self.waiting.len() > MAX_SEGMENTS {
            self.give_up_gap(out);
        }
    }

    /// The sender sends nothing from this sequence number on.
    pub(super) fn handle_end(&mut self, seq: u32) {
        let Some(base) = self.base else { return };
        let ahead = self.ahead(base, seq);
        if (0..=MAX_AHEAD).contains(&ahead) {
            self.end = Some(self.next + ahead as u64);
        }
    }

    /// The receiver has everything in front of this sequence number.
    pub(super) fn handle_ack(&mut self, ack: u32, out: &mut dyn FnMut(Piece<'_>)) {
        let Some(base) = self.base else { return };
        let ahead = self.ahead(base, ack);
        if (1..=MAX_AHEAD).contains(&ahead) {
            self.confirmed = self.confirmed.max(self.next + ahead as u64);
        }
        if self.waiting.is_empty() {
            self.patience = 0;
            return;
        }
        self.patience += 1;
        if self.confirmed > self.next && self.patience > PATIENCE {
            self.give_up_gap(out);
        }
    }

    /// Passes everything that waits to `out`, with the gaps in it.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        while !self.waiting.is_empty() {
            self.give_up_gap(out);
        }
        if let Some(missing) =
            self.end.and_then(|end| end.checked_sub(self.next)).filter(|missing| *missing > 0)
        {
            out(Piece::Gap(missing));
            self.next += missing;
        }
    }

    /// Returns the distance of a sequence number from the next byte.
    const fn ahead(&self, base: u32, seq: u32) -> i64 {
        seq.wrapping_sub(base.wrapping_add(self.next as u32)) as i32 as i64
    }

    fn keep(&mut self, at: u64, payload: &[u8]) {
        // Of two segments at the same place, the longer one is kept.
        let old = self.waiting.get(&at).map_or(0, Vec::len);
        if payload.len() > old {
            self.waiting.insert(at, payload.to_vec());
            self.waiting_bytes += payload.len() - old;
        }
    }

    /// Passes what waits without a gap.
    fn flush(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() <= self.next) {
            let (at, bytes) = entry.remove_entry();
            self.waiting_bytes -= bytes.len();
            self.patience = 0;
            let seen = usize::try_from(self.next - at).unwrap_or(usize::MAX);
            if let Some(new) = bytes.get(seen..).filter(|new| !new.is_empty()) {
                out(Piece::Bytes(new));
                self.next += new.len() as u64;
            }
        }
    }

    /// Goes on behind the bytes that are missing.
    fn give_up_gap(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let Some((at, _)) = self.waiting.first_key_value() else { return };
        out(Piece::Gap(*at - self.next));
        self.next = *at;
        self.flush(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Seen(Vec<u8>, Vec<u64>);

    impl Seen {
        fn take(&mut self, piece: &Piece<'_>) {
            match piece {
                Piece::Bytes(bytes) => self.0.extend_from_slice(bytes),
                Piece::Gap(len) => self.1.push(*len),
            }
        }
    }

    fn play(begin: u32, segments: &[(u32, &[u8])]) -> (Assembler, Seen) {
        let (mut assembler, mut seen) = (Assembler::default(), Seen::default());
        assembler.begin(begin);
        for (seq, payload) in segments {
            assembler.handle(*seq, payload, &mut |piece| seen.take(&piece));
        }
        (assembler, seen)
    }

    #[test]
    fn order_repetition_and_overlap_make_no_difference() {
        // The numbers pass zero.
        let begin = u32::MAX - 2;
        let cases: [&[(u32, &[u8])]; 4] = [
            &[(begin, b"abc"), (0, b"def")],
            &[(0, b"def"), (begin, b"abc")],
            &[(begin, b"abc"), (begin, b"abcd"), (begin.wrapping_add(2), b"cdef"), (0, b"def")],
            &[(begin.wrapping_add(4), b"ef"), (begin.wrapping_add(2), b"cde"), (begin, b"abc")],
        ];
        for segments in cases {
            let (assembler, seen) = play(begin, segments);
            assert_eq!((seen.0.as_slice(), seen.1.as_slice()), (&b"abcdef"[..], &[][..]), "{segments:?}");
            assert_eq!(assembler.waiting_bytes(), 0);
        }
    }

    #[test]
    fn what_never_comes_is_a_gap_at_the_end() {
        let (mut assembler, mut seen) = play(100, &[(100, b"ab"), (105, b"fg"), (110, b"kl")]);
        assert_eq!(seen.0, b"ab");
        assembler.handle_end(120);
        assembler.finish(&mut |piece| seen.take(&piece));
        assert_eq!(seen, Seen(b"abfgkl".to_vec(), vec![3, 3, 8]));
    }

    #[test]
    fn what_the_receiver_has_confirmed_and_the_capture_does_not_have_is_a_gap() {
        let (mut assembler, mut seen) = play(0, &[(10, b"later")]);
        for _ in 0..=PATIENCE {
            assert_eq!(seen, Seen::default());
            assembler.handle_ack(15, &mut |piece| seen.take(&piece));
        }
        assert_eq!(seen, Seen(b"later".to_vec(), vec![10]));
    }

    #[test]
    fn segments_that_wait_are_bounded() {
        let (mut assembler, mut gaps) = (Assembler::default(), 0);
        assembler.begin(0);
        for number in 1..20_000_u32 {
            assembler.handle(number * 2000, &[0; 1000], &mut |piece| {
                gaps += u32::from(matches!(piece, Piece::Gap(_)));
            });
            assert!(assembler.waiting_bytes() <= MAX_WAITING && assembler.waiting.len() <= MAX_SEGMENTS);
        }
        assert!(gaps > 0);
    }
}
