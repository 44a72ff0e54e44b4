//! The frames of a WebSocket connection, read as a byte stream by an observer.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455#section-5.2>.

/// Longest header of a frame: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// Opcodes of which the content belongs to the stream: continuation and binary.
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;

/// The lowest opcode of control frames, which are skipped.
const FIRST_CONTROL: u8 = 8;

/// Unwraps the frames of one direction. The borders of messages have no meaning.
#[derive(Debug, Default)]
pub(crate) struct WebSocketReader {
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// What is left of the content of the frame that is being read.
    left: u64,
    mask: [u8; 4],
    is_data: bool,
}

/// The bytes are no frames that may carry MTProto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoFrame;

impl WebSocketReader {
    /// Unwraps the next bytes of the stream, moves their content to the front and returns its length.
    pub(crate) fn unwrap(&mut self, bytes: &mut [u8]) -> Result<usize, NoFrame> {
        let (mut read, mut kept) = (0, 0);
        while read < bytes.len() {
            if self.left == 0 {
                self.take_header_byte(bytes[read])?;
                read += 1;
                continue;
            }
            let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - read);
            if self.is_data {
                bytes.copy_within(read..read + taken, kept);
                let content = &mut bytes[kept..kept + taken];
                content.iter_mut().zip(self.mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
                kept += taken;
            }
            self.advance(taken as u64);
            read += taken;
        }
        Ok(kept)
    }

    /// Skips `len` bytes of the stream that were lost, and returns whether all of them belong to the content of one frame.
    pub(crate) fn skip(&mut self, len: u64) -> bool {
        let is_inside = self.is_data && len <= self.left;
        if is_inside {
            self.advance(len);
        }
        is_inside
    }

    fn advance(&mut self, count: u64) {
        self.left -= count;
        self.mask.rotate_left((count % 4) as usize);
    }

    fn take_header_byte(&mut self, byte: u8) -> Result<(), NoFrame> {
        self.header[self.header_len] = byte;
        self.header_len += 1;
        let [first, second, ..] = self.header;
        if self.header_len == 1 {
            // Reserved bits belong to extensions, such as compression, which MTProto does not use.
            let opcode = first & 0x0f;
            let is_known = matches!(opcode, CONTINUATION | BINARY) || opcode >= FIRST_CONTROL;
            return if first & 0x70 == 0 && is_known { Ok(()) } else { Err(NoFrame) };
        }
        let (extended, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, u64::from(short)),
        };
        let mask_at = 2 + extended;
        let is_masked = second & 0x80 != 0;
        if self.header_len < mask_at + if is_masked { 4 } else { 0 } {
            return Ok(());
        }
        let long = self.header[2..mask_at].iter().fold(0, |len: u64, byte| len << 8 | u64::from(*byte));
        self.left = if extended == 0 { short } else { long };
        self.mask = if is_masked { core::array::from_fn(|at| self.header[mask_at + at]) } else { [0; 4] };
        self.is_data = first & 0x0f < FIRST_CONTROL;
        self.header_len = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Two binary frames, masked and with a two-byte length, around a ping.
    fn wire() -> (Vec<u8>, Vec<u8>) {
        let content: Vec<u8> = (0..300_u16).map(|at| at as u8).collect();
        let mut wire = Vec::from([0x82, 0x80 | 5, 1, 2, 3, 4]);
        wire.extend(content[..5].iter().zip([1, 2, 3, 4, 1]).map(|(byte, mask)| byte ^ mask));
        wire.extend([0x89, 2, 9, 9]);
        wire.extend([0x82, 126, 1, 39]);
        wire.extend(&content[5..]);
        (wire, content)
    }

    #[test]
    fn any_split_gives_the_same_stream() {
        let (wire, content) = wire();
        for step in [1, 2, 3, 7, wire.len()] {
            let mut reader = WebSocketReader::default();
            let mut got = Vec::new();
            for piece in wire.chunks(step) {
                let mut piece = piece.to_vec();
                let kept = reader.unwrap(&mut piece).expect("frames");
                got.extend_from_slice(&piece[..kept]);
            }
            assert_eq!(got, content, "pieces of {step}");
        }
    }

    #[test]
    fn lost_bytes_within_a_frame_do_not_shift_the_mask() {
        let (wire, content) = wire();
        let mut reader = WebSocketReader::default();
        let mut first = wire[..7].to_vec();
        assert_eq!(reader.unwrap(&mut first), Ok(1));
        assert!(reader.skip(2));
        let mut rest = wire[9..11].to_vec();
        assert_eq!(reader.unwrap(&mut rest), Ok(2));
        assert_eq!(rest, content[3..5]);
        assert!(!reader.skip(1), "a border was lost");
    }

    #[test]
    fn compressed_and_text_frames_are_refused() {
        for first in [0xc2, 0x81, 0x83] {
            assert_eq!(WebSocketReader::default().unwrap(&mut [first]), Err(NoFrame), "{first:x}");
        }
    }
}
