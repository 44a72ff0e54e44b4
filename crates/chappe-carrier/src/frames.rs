//! Frames of WebSocket: data is passed on as it comes, and control frames when they are whole.
//!
//! The messages are parts of a stream, and their ends mean nothing. To keep a message until its end would let a peer fill
//! memory by the length that it announces, before anything is known of it.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455#section-5.2>.

use core::mem;

/// Longest payload of a control frame.
const MAX_CONTROL: usize = 125;

/// Longest header: flags and length, the long length, the mask.
const MAX_HEADER: usize = 2 + 8 + 4;

/// Splits the bytes of one direction.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Frames of clients are masked, and those of servers are not.
    are_masked: bool,
    /// A header, or a control frame, until it is whole.
    held: [u8; MAX_HEADER + MAX_CONTROL],
    len: usize,
    /// A data frame whose payload is coming.
    data: Option<Data>,
    /// The current message has further frames.
    is_fragmented: bool,
}

#[derive(Clone, Copy, Debug)]
struct Data {
    left: u64,
    /// The mask from the next byte on.
    mask: [u8; 4],
}

/// A piece of what came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Bytes of a binary message, still masked; the mask begins with the first byte.
    Data { bytes: &'a [u8], mask: [u8; 4] },
    /// A whole control frame, with its header.
    Control(&'a [u8]),
}

impl Frames {
    /// Begins with the first frame.
    pub(crate) const fn new(are_masked: bool) -> Self {
        let held = [0; MAX_HEADER + MAX_CONTROL];
        Self { are_masked, held, len: 0, data: None, is_fragmented: false }
    }

    /// Returns whether only part of a message has arrived.
    pub(crate) const fn is_inside(&self) -> bool {
        self.len > 0 || self.data.is_some() || self.is_fragmented
    }

    /// Takes the next piece from the front of `bytes`; returns `None` once they are used up.
    ///
    /// # Errors
    ///
    /// What is wrong with a frame.
    pub(crate) fn next<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b [u8],
    ) -> Result<Option<Piece<'a>>, &'static str> {
        loop {
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(Data { left, mask }) = self.data {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - count as u64;
                let mut later = mask;
                later.rotate_left(count % 4);
                self.data = (left > 0).then_some(Data { left, mask: later });
                let (now, rest) = bytes.split_at(count);
                *bytes = rest;
                return Ok(Some(Piece::Data { bytes: now, mask }));
            }
            self.held[self.len] = bytes[0];
            self.len += 1;
            *bytes = &bytes[1..];
            if self.len == 2 {
                self.check()?;
            }
            if self.len < 2 || self.len < self.wanted() {
                continue;
            }
            let len = mem::take(&mut self.len);
            if self.is_control() {
                return Ok(Some(Piece::Control(&self.held[..len])));
            }
            self.begin_data(len);
        }
    }

    const fn is_control(&self) -> bool {
        self.held[0] & 0x08 != 0
    }

    const fn is_final(&self) -> bool {
        self.held[0] & 0x80 != 0
    }

    /// Returns the length of the payload, or 126 or 127 if it follows.
    const fn short_len(&self) -> usize {
        (self.held[1] & 0x7f) as usize
    }

    const fn header_len(&self) -> usize {
        let length = match self.short_len() {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.are_masked { 4 } else { 0 }
    }

    /// Returns how many bytes are held until something can be done.
    const fn wanted(&self) -> usize {
        self.header_len() + if self.is_control() { self.short_len() } else { 0 }
    }

    /// Checks the first two bytes.
    const fn check(&self) -> Result<(), &'static str> {
        if self.held[0] & 0x70 != 0 {
            return Err("a frame with reserved bits");
        }
        if (self.held[1] & 0x80 != 0) != self.are_masked {
            return Err(if self.are_masked { "a frame without a mask" } else { "a frame with a mask" });
        }
        match self.held[0] & 0x0f {
            0 if !self.is_fragmented => Err("a continuation of no message"),
            2 if self.is_fragmented => Err("a message within another"),
            0 | 2 => Ok(()),
            1 => Err("a message that is not binary"),
            8..=10 if self.is_final() && self.short_len() <= MAX_CONTROL => Ok(()),
            8..=10 => Err("a control frame that is long or in parts"),
            _ => Err("a frame of an unknown kind"),
        }
    }

    fn begin_data(&mut self, header_len: usize) {
        let [_, _, length @ ..] = &self.held;
        let left = match self.short_len() {
            126 => u64::from(u16::from_be_bytes([length[0], length[1]])),
            127 => u64::from_be_bytes(core::array::from_fn(|at| length[at])),
            len => len as u64,
        };
        let mask =
            if self.are_masked { core::array::from_fn(|at| self.held[header_len - 4 + at]) } else { [0; 4] };
        self.is_fragmented = !self.is_final();
        self.data = (left > 0).then_some(Data { left, mask });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message in two frames with a ping between them, a long one, one with the longest header, and an empty one.
    fn stream() -> (Vec<u8>, Vec<usize>, Vec<u8>) {
        let mask = [1, 2, 3, 4];
        let masked = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
        };
        let long: Vec<u8> = (0..=255).collect();
        let mut bytes = [&[0x02, 0x83][..], &mask, &masked(b"abc")].concat();
        bytes.extend([&[0x89, 0x81][..], &mask, &[9]].concat());
        bytes.extend([&[0x80, 0x81][..], &mask, &masked(b"d")].concat());
        let first = bytes.len();
        bytes.extend([&[0x82, 0xfe, 1, 0][..], &mask, &masked(&long)].concat());
        let second = bytes.len();
        bytes.extend([&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5][..], &mask, &masked(b"efghi")].concat());
        let third = bytes.len();
        bytes.extend([&[0x82, 0x80][..], &mask].concat());
        let last = bytes.len();
        (bytes, vec![0, first, second, third, last], [b"abcd", &long[..], b"efghi"].concat())
    }

    fn read(frames: &mut Frames, mut bytes: &[u8], data: &mut Vec<u8>, control: &mut usize) {
        while let Some(piece) = frames.next(&mut bytes).expect("frames in order") {
            match piece {
                Piece::Data { bytes, mask } => {
                    data.extend(bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
                }
                Piece::Control(frame) => {
                    assert_eq!(frame, [0x89, 0x81, 1, 2, 3, 4, 9]);
                    *control += 1;
                }
            }
        }
    }

    #[test]
    fn data_comes_out_as_it_comes_in_whatever_the_pieces() {
        let (bytes, ends, sent) = stream();
        for cut in 0..=bytes.len() {
            for step in [1, 2, 7, 1000] {
                let (mut frames, mut data, mut control) = (Frames::new(true), Vec::new(), 0);
                bytes[..cut].chunks(step).for_each(|chunk| read(&mut frames, chunk, &mut data, &mut control));
                assert_eq!(frames.is_inside(), !ends.contains(&cut), "{cut} in steps of {step}");
                assert!(sent.starts_with(&data), "{cut} in steps of {step}");
                if cut == bytes.len() {
                    assert_eq!((&data, control), (&sent, 1));
                }
            }
        }
    }

    #[test]
    fn a_length_beyond_all_bounds_holds_no_memory() {
        let (mut frames, mut data) = (Frames::new(true), Vec::new());
        read(
            &mut frames,
            &[0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 5],
            &mut data,
            &mut 0,
        );
        assert_eq!(data, [5], "a byte is passed on at once");
        assert!(frames.is_inside());
    }

    #[test]
    fn frames_that_a_peer_must_not_send_are_refused() {
        let refused = |are_masked, frame: &[u8]| {
            let mut frames = Frames::new(are_masked);
            frames.next(&mut &frame[..]).is_err()
        };
        for first in [0xc2, 0xa2, 0x92, 0x81, 0x80, 0x83, 0x87, 0x8b, 0x8f, 0x09, 0x08] {
            assert!(refused(false, &[first, 0]), "{first:#x}");
        }
        assert!(refused(true, &[0x82, 1]) && refused(false, &[0x82, 0x81]), "masks");
        assert!(refused(false, &[0x89, 126]), "a long ping");
        assert!(refused(false, &[0x02, 0, 0x82, 0]), "a message within another");
        assert!(!refused(false, &[0x02, 0, 0x80, 0, 0x82, 0]));
    }
}
