//! The length of the random padding after a body.
//!
//! Spec: <https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector>:
//! 12 to 1024 bytes, "such that the resulting message length be divisible by 16 bytes".

use core::ops::RangeInclusive;

use rand_core::CryptoRng;

use super::{BLOCK, INNER_HEADER_LEN};

/// Lengths of padding that may be sent and are accepted (SEC-67, SEC-72).
pub(super) const ACCEPTED: RangeInclusive<usize> = 12..=1024;

/// How to choose the length of the padding. Its bytes are always random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// 12 to 27 bytes: as few as the cipher allows. Reveals the length of the body to within 16 bytes.
    Minimum,
    /// The minimum and 0 to 15 further blocks of 16 bytes, drawn at random.
    #[default]
    Random,
    /// Up to the next of a few sizes of the encrypted part: 64, 128, 192, 256, 384, 512, 768, 1024,
    /// 1280, and further in steps of 448 bytes, as official clients do.
    Buckets,
}

impl Padding {
    /// Returns the length of the padding after a body of `body_len` bytes, a multiple of 4.
    #[inline]
    pub(super) fn choose(self, body_len: usize, rng: &mut (impl CryptoRng + ?Sized)) -> usize {
        let filled = INNER_HEADER_LEN + body_len;
        let minimum = (filled + ACCEPTED.start()).next_multiple_of(BLOCK);
        let total = match self {
            Self::Minimum => minimum,
            Self::Random => minimum + BLOCK * (rng.next_u32() & 0xf) as usize,
            Self::Buckets => bucket(minimum),
        };
        total - filled
    }
}

/// Returns the smallest size that holds `len` bytes. It is at most 1012 bytes away.
fn bucket(len: usize) -> usize {
    const SIZES: [usize; 9] = [64, 128, 192, 256, 384, 512, 768, 1024, LAST];
    const LAST: usize = 1280;
    const STEP: usize = 448;
    match SIZES.iter().find(|size| len <= **size) {
        Some(size) => *size,
        None => LAST + (len - LAST).next_multiple_of(STEP),
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn every_policy_gives_whole_blocks_and_accepted_lengths() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for body_len in (4..5000).step_by(4) {
            for policy in [Padding::Minimum, Padding::Random, Padding::Buckets] {
                let len = policy.choose(body_len, &mut rng);
                assert!(ACCEPTED.contains(&len), "{policy:?} {body_len} {len}");
                assert_eq!((INNER_HEADER_LEN + body_len + len) % BLOCK, 0, "{policy:?} {body_len}");
            }
        }
    }

    #[test]
    fn buckets_hide_the_length_of_the_body() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let total = |body: usize, rng: &mut _| INNER_HEADER_LEN + body + Padding::Buckets.choose(body, rng);
        assert_eq!(total(4, &mut rng), 64);
        assert_eq!(total(20, &mut rng), 64);
        assert_eq!(total(24, &mut rng), 128);
        assert_eq!(total(1236, &mut rng), 1280);
        assert_eq!(total(1240, &mut rng), 1728);
        assert_eq!(total(10_000, &mut rng), 1280 + 20 * 448);
    }
}
