//! The basic operation of big-number multiplication.

/// A way to add a multiple of one number to another.
pub(super) trait Rows: Copy {
    /// `t += a * b`; returns the limb that is carried out. `N` is a multiple of 8.
    fn add_product<const N: usize>(self, t: &mut [u64; N], a: &[u64; N], b: u64) -> u64;
}

/// The portable implementation.
#[derive(Clone, Copy)]
pub(super) struct PortableRows;

impl Rows for PortableRows {
    #[inline(always)]
    fn add_product<const N: usize>(self, t: &mut [u64; N], a: &[u64; N], b: u64) -> u64 {
        const { assert!(N.is_multiple_of(8), "the code takes eight limbs at a time") }
        let mut carry = 0;
        let (t, _) = t.as_chunks_mut::<8>();
        let (a, _) = a.as_chunks::<8>();
        for (t, a) in t.iter_mut().zip(a) {
            // Written out by the compiler: a loop over limbs costs a tenth more.
            for i in 0..8 {
                (t[i], carry) = multiply_add(a[i], b, t[i], carry);
            }
        }
        carry
    }
}

/// `a * b + c + d`, low and high half. It cannot overflow.
#[inline(always)]
pub(super) fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let wide = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (wide as u64, (wide >> 64) as u64)
}
