//! Boundaries of WebSocket messages, to detect one that has arrived in part.
//!
//! tungstenite buffers incomplete messages without reporting them. A client that never finishes one could hold a connection
//! for as long as an idle client.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455#section-5.2>.

/// Tracks the bytes of one direction.
#[derive(Debug, Default)]
pub(crate) struct Boundary {
    /// The beginning of a header, up to the length of the payload.
    header: [u8; 10],
    held: usize,
    /// Bytes of the frame that are missing, including the mask.
    left: u64,
    /// The current message has further frames.
    is_fragmented: bool,
}

impl Boundary {
    /// Returns whether only part of a message has arrived.
    pub(crate) const fn is_inside(&self) -> bool {
        self.held > 0 || self.left > 0 || self.is_fragmented
    }

    /// Takes the next bytes.
    pub(crate) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.held] = bytes[0];
            self.held += 1;
            bytes = &bytes[1..];
            if self.held == header_len(&self.header, self.held) {
                self.begin();
            }
        }
    }

    /// Handles a complete header.
    fn begin(&mut self) {
        let [first, second, rest @ ..] = &self.header;
        let payload = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([rest[0], rest[1]])),
            127 => u64::from_be_bytes(*rest),
            len => u64::from(len),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let is_control = first & 0x08 != 0;
        if !is_control {
            self.is_fragmented = first & 0x80 == 0;
        }
        // tungstenite rejects lengths above the limit.
        self.left = payload.saturating_add(mask);
        self.held = 0;
    }
}

/// Returns the length of a header without its mask, as far as the `held` bytes determine it.
const fn header_len(header: &[u8; 10], held: usize) -> usize {
    match header[1] & 0x7f {
        _ if held < 2 => 2,
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message in two frames with a ping between them, a long one and one without a mask.
    fn stream() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = vec![0x02, 0x83, 1, 2, 3, 4, 7, 7, 7];
        bytes.extend([0x89, 0x80, 1, 2, 3, 4]);
        bytes.extend([0x80, 0x81, 1, 2, 3, 4, 7]);
        let first = bytes.len();
        bytes.extend([0x82, 0xfe, 1, 0, 1, 2, 3, 4]);
        bytes.extend([0x55; 256]);
        let second = bytes.len();
        bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5]);
        let third = bytes.len();
        (bytes, vec![0, first, second, third])
    }

    #[test]
    fn it_is_inside_everywhere_but_between_messages() {
        let (bytes, ends) = stream();
        for cut in 0..=bytes.len() {
            for step in [1, 2, 7, 1000] {
                let mut boundary = Boundary::default();
                bytes[..cut].chunks(step).for_each(|chunk| boundary.advance(chunk));
                assert_eq!(boundary.is_inside(), !ends.contains(&cut), "{cut} in steps of {step}");
            }
        }
    }

    #[test]
    fn a_length_beyond_all_bounds_is_followed_too() {
        let mut boundary = Boundary::default();
        boundary.advance(&[0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4, 5]);
        assert!(boundary.is_inside());
    }
}
