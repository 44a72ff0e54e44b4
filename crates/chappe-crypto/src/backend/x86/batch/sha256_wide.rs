//! SHA-256 of sixteen messages at once with AVX-512: one 32-bit lane to each.
//!
//! A register holds one word of the state, or of the schedule, of all sixteen. Rotation and three-way logic are one
//! instruction each, so the sixteen cost what eight cost one after the other with SHA-NI.

use core::arch::x86_64::{
    __m512i, _mm_set_epi64x, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_loadu_si512, _mm512_ror_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{
    Wide,
    sha256::{INITIAL, K},
};

/// How many messages run at once.
pub(super) const LANES: usize = 16;

/// Truth tables of three-way logic.
const PARITY: i32 = 0x96;
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;

/// The states of sixteen messages between two blocks.
pub(super) struct States([__m512i; 8]);

impl States {
    pub(super) fn new(_proof: Wide) -> Self {
        // SAFETY: `initial` needs the CPU features that `_proof` proves.
        unsafe { initial() }
    }

    /// Hashes the first blocks of each message; `messages` are blocks that all have the same number of.
    ///
    /// # Panics
    ///
    /// Panics if they do not.
    pub(super) fn compress(&mut self, _proof: Wide, messages: [&[[u8; 64]]; LANES]) {
        let blocks = messages[0].len();
        assert!(messages.iter().all(|message| message.len() == blocks), "the messages are of unequal length");
        // SAFETY: `kernel` needs the CPU features that `_proof` proves; every slice has `blocks` blocks.
        unsafe { kernel(&mut self.0, messages.map(<[_]>::as_ptr), blocks) }
    }

    /// Returns the state of each message, in the order of the standard.
    pub(super) fn words(&self) -> [[u32; 8]; LANES] {
        let mut sliced = [[0; LANES]; 8];
        for (row, words) in sliced.iter_mut().zip(self.0) {
            // SAFETY: a row is 64 bytes wide; a `States` exists only if its maker held the proof of the CPU
            // features.
            unsafe { spill(row, words) }
        }
        core::array::from_fn(|lane| sliced.map(|row| row[lane]))
    }
}

#[target_feature(enable = "avx512f")]
fn initial() -> States {
    States(INITIAL.map(|word| _mm512_set1_epi32(word as i32)))
}

#[target_feature(enable = "avx512f")]
fn spill(row: &mut [u32; LANES], words: __m512i) {
    // SAFETY: the row is 64 bytes wide, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), words) }
}

/// # Safety
///
/// Each of `messages` points to `blocks` blocks.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn kernel(states: &mut [__m512i; 8], messages: [*const [u8; 64]; LANES], blocks: usize) {
    let order = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
    for i in 0..blocks {
        let mut w = [_mm512_setzero_si512(); 16];
        for (row, message) in w.iter_mut().zip(messages) {
            // SAFETY: 64 bytes may be read, since `i < blocks`; the load needs no alignment.
            *row = unsafe { _mm512_loadu_si512(message.add(i).cast()) };
            *row = _mm512_shuffle_epi8(*row, order);
        }
        rounds(states, transpose(w));
    }
}

/// All 64 rounds of one block of each message.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn rounds(states: &mut [__m512i; 8], mut w: [__m512i; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *states;
    for group in 0..4 {
        // A literal loop, so that the ring of the schedule stays in registers.
        macro_rules! rounds {
            ($($i:literal)*) => { $(
                if group > 0 {
                    w[$i] = expand(w[$i], w[($i + 1) % 16], w[($i + 9) % 16], w[($i + 14) % 16]);
                }
                let k = _mm512_set1_epi32(K.0[4 * group + $i / 4][$i % 4] as i32);
                let input = _mm512_add_epi32(_mm512_add_epi32(h, k), w[$i]);
                let mixed = _mm512_add_epi32(sum::<6, 11, 25>(e), _mm512_ternarylogic_epi32::<CHOOSE>(e, f, g));
                let t1 = _mm512_add_epi32(input, mixed);
                let t2 = _mm512_add_epi32(sum::<2, 13, 22>(a), _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c));
                (h, g, f, e) = (g, f, e, _mm512_add_epi32(d, t1));
                (d, c, b, a) = (c, b, a, _mm512_add_epi32(t1, t2));
            )* };
        }
        rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    for (state, word) in states.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *state = _mm512_add_epi32(*state, word);
    }
}

/// XOR of three rotations.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum<const X: i32, const Y: i32, const Z: i32>(word: __m512i) -> __m512i {
    let (x, y, z) = (_mm512_ror_epi32::<X>(word), _mm512_ror_epi32::<Y>(word), _mm512_ror_epi32::<Z>(word));
    _mm512_ternarylogic_epi32::<PARITY>(x, y, z)
}

/// The next word of the schedule, from those 16, 15, 7 and 2 places before it.
#[inline]
#[target_feature(enable = "avx512f")]
fn expand(w16: __m512i, w15: __m512i, w7: __m512i, w2: __m512i) -> __m512i {
    let s0 = _mm512_ternarylogic_epi32::<PARITY>(
        _mm512_ror_epi32::<7>(w15),
        _mm512_ror_epi32::<18>(w15),
        _mm512_srli_epi32::<3>(w15),
    );
    let s1 = _mm512_ternarylogic_epi32::<PARITY>(
        _mm512_ror_epi32::<17>(w2),
        _mm512_ror_epi32::<19>(w2),
        _mm512_srli_epi32::<10>(w2),
    );
    _mm512_add_epi32(_mm512_add_epi32(w16, s0), _mm512_add_epi32(w7, s1))
}

/// Transposes sixteen by sixteen words: in pairs, in fours, then lanes twice.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(mut rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut t = rows;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    for i in 0..4 {
        rows[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        rows[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        rows[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        rows[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for i in 0..4 {
        t[i] = _mm512_shuffle_i32x4::<0x88>(rows[i], rows[4 + i]);
        t[4 + i] = _mm512_shuffle_i32x4::<0xdd>(rows[i], rows[4 + i]);
        t[8 + i] = _mm512_shuffle_i32x4::<0x88>(rows[8 + i], rows[12 + i]);
        t[12 + i] = _mm512_shuffle_i32x4::<0xdd>(rows[8 + i], rows[12 + i]);
    }
    for i in 0..4 {
        rows[i] = _mm512_shuffle_i32x4::<0x88>(t[i], t[8 + i]);
        rows[8 + i] = _mm512_shuffle_i32x4::<0xdd>(t[i], t[8 + i]);
        rows[4 + i] = _mm512_shuffle_i32x4::<0x88>(t[4 + i], t[12 + i]);
        rows[12 + i] = _mm512_shuffle_i32x4::<0xdd>(t[4 + i], t[12 + i]);
    }
    rows
}
