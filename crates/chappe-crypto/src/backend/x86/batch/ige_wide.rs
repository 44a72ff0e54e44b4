//! AES-256-IGE of 4, 8, 12 or 16 streams with VAES: four streams to a 512-bit register, one to each lane.
//!
//! ```text
//! repeat, for each group of four streams:
//!     load 64 bytes of each stream, and transpose: register q holds block q of all four
//!     for each of the four blocks: 14 rounds, with the round keys of the four streams side by side
//!     transpose back, and store
//! ```
//!
//! Three groups fill the unit (an instruction takes 3 cycles and one can begin in each).

use core::arch::x86_64::{
    __m128i, __m512i, _mm512_aesdec_epi128, _mm512_aesdeclast_epi128, _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128, _mm512_castsi128_si512, _mm512_extracti64x2_epi64, _mm512_inserti64x2,
    _mm512_loadu_si512, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_xor_si512,
};

use zeroize::Zeroize;

use super::{
    Wide,
    aes::RoundKeys,
    ige::Chain,
    register::{load, store},
};

/// Four streams: their round keys and what their last blocks pass on.
pub(super) struct Group {
    keys: [__m512i; 15],
    output: __m512i,
    input: __m512i,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl Group {
    pub(super) fn new(_proof: Wide, streams: [(&RoundKeys, Chain); 4]) -> Self {
        // SAFETY: `gather` needs the CPU features that `_proof` proves.
        unsafe { gather(streams) }
    }

    /// Returns what the next block of each stream needs.
    pub(super) fn chains(&self) -> [Chain; 4] {
        // SAFETY: a `Group` exists only if its maker held the proof of the CPU features that `split` needs.
        let (outputs, inputs) = unsafe { (split(self.output), split(self.input)) };
        core::array::from_fn(|j| Chain { output: outputs[j], input: inputs[j] })
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes")]
fn gather(streams: [(&RoundKeys, Chain); 4]) -> Group {
    let [a, b, c, d] = streams;
    let mut keys = [_mm512_setzero_si512(); 15];
    for (r, key) in keys.iter_mut().enumerate() {
        *key = join([a.0.0[r], b.0.0[r], c.0.0[r], d.0.0[r]]);
    }
    let output = join([a.1.output, b.1.output, c.1.output, d.1.output]);
    let input = join([a.1.input, b.1.input, c.1.input, d.1.input]);
    Group { keys, output, input }
}

/// Puts four blocks side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn join([a, b, c, d]: [__m128i; 4]) -> __m512i {
    let joined = _mm512_inserti64x2::<1>(_mm512_castsi128_si512(a), b);
    _mm512_inserti64x2::<3>(_mm512_inserti64x2::<2>(joined, c), d)
}

/// The reverse of [`join`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn split(joined: __m512i) -> [__m128i; 4] {
    [
        _mm512_extracti64x2_epi64::<0>(joined),
        _mm512_extracti64x2_epi64::<1>(joined),
        _mm512_extracti64x2_epi64::<2>(joined),
        _mm512_extracti64x2_epi64::<3>(joined),
    ]
}

/// Transposes four by four blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn transpose([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab_low, ab_high) = (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xee>(a, b));
    let (cd_low, cd_high) = (_mm512_shuffle_i64x2::<0x44>(c, d), _mm512_shuffle_i64x2::<0xee>(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(ab_low, cd_low),
        _mm512_shuffle_i64x2::<0xdd>(ab_low, cd_low),
        _mm512_shuffle_i64x2::<0x88>(ab_high, cd_high),
        _mm512_shuffle_i64x2::<0xdd>(ab_high, cd_high),
    ]
}

/// Takes `blocks` blocks of every stream, in place.
///
/// # Panics
///
/// Panics if a slice holds less.
pub(super) fn run<const G: usize, const DECRYPT: bool>(
    _proof: Wide,
    groups: &mut [Group; G],
    mut data: [[&mut [[u8; 16]]; 4]; G],
    blocks: usize,
) {
    assert!(
        data.iter().flatten().all(|blocks_of_one| blocks_of_one.len() >= blocks),
        "a stream is too short"
    );
    let pointers = data.each_mut().map(|group| group.each_mut().map(|blocks| blocks.as_mut_ptr()));
    // SAFETY: `kernel` needs the CPU features that `_proof` proves; every slice was found long enough, and mutable
    // slices do not overlap.
    unsafe { kernel::<G, DECRYPT>(groups, pointers, blocks) }
}

/// # Safety
///
/// Each pointer points to `blocks` blocks that nothing else refers to.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes")]
#[allow(clippy::needless_range_loop, reason = "several arrays are walked together")]
unsafe fn kernel<const G: usize, const DECRYPT: bool>(
    groups: &mut [Group; G],
    data: [[*mut [u8; 16]; 4]; G],
    blocks: usize,
) {
    let zero = _mm512_setzero_si512();
    let keys = groups.each_ref().map(|group| &group.keys);
    let mut chain = WideChain {
        output: groups.each_ref().map(|group| group.output),
        input: groups.each_ref().map(|group| group.input),
    };
    let mut i = 0;
    while i + 4 <= blocks {
        let mut rows = [[zero; 4]; G];
        for g in 0..G {
            // SAFETY: 64 bytes may be read, since `i + 4 <= blocks`.
            rows[g] = transpose(data[g].map(|stream| unsafe { _mm512_loadu_si512(stream.add(i).cast()) }));
        }
        macro_rules! columns {
            ($($q:literal)*) => { $(
                chain.step::<DECRYPT>(&keys, rows.each_ref().map(|row| row[$q]));
                for g in 0..G {
                    rows[g][$q] = chain.output[g];
                }
            )* };
        }
        columns!(0 1 2 3);
        for g in 0..G {
            for (stream, row) in data[g].iter().zip(transpose(rows[g])) {
                // SAFETY: 64 bytes may be written, since `i + 4 <= blocks`.
                unsafe { _mm512_storeu_si512(stream.add(i).cast(), row) };
            }
        }
        i += 4;
    }
    while i < blocks {
        // SAFETY: a block may be read, since `i < blocks`.
        let column = data.map(|group| join(group.map(|stream| load(unsafe { &*stream.add(i) }))));
        chain.step::<DECRYPT>(&keys, column);
        for g in 0..G {
            for (stream, block) in data[g].iter().zip(split(chain.output[g])) {
                // SAFETY: a block may be written, since `i < blocks`.
                store(unsafe { &mut *stream.add(i) }, block);
            }
        }
        i += 1;
    }
    for g in 0..G {
        groups[g].output = chain.output[g];
        groups[g].input = chain.input[g];
    }
}

/// What the last block of every stream passes on, in registers.
struct WideChain<const G: usize> {
    output: [__m512i; G],
    input: [__m512i; G],
}

impl<const G: usize> WideChain<G> {
    /// One block of every stream.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,vaes")]
    fn step<const DECRYPT: bool>(&mut self, keys: &[&[__m512i; 15]; G], inputs: [__m512i; G]) {
        let mut s = inputs;
        for g in 0..G {
            s[g] = _mm512_xor_si512(_mm512_xor_si512(inputs[g], keys[g][0]), self.output[g]);
        }
        macro_rules! rounds {
            ($($r:literal)*) => { $( for g in 0..G {
                s[g] = if DECRYPT {
                    _mm512_aesdec_epi128(s[g], keys[g][$r])
                } else {
                    _mm512_aesenc_epi128(s[g], keys[g][$r])
                };
            } )* };
        }
        rounds!(1 2 3 4 5 6 7 8 9 10 11 12 13);
        for g in 0..G {
            let fold = _mm512_xor_si512(self.input[g], keys[g][14]);
            s[g] = if DECRYPT {
                _mm512_aesdeclast_epi128(s[g], fold)
            } else {
                _mm512_aesenclast_epi128(s[g], fold)
            };
        }
        (self.output, self.input) = (s, inputs);
    }
}
