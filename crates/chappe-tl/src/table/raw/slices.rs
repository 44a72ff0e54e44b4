//! Slices of any type, and values from bytes.
//!
//! **Proof.** Rust does not say how a slice reference is laid out. For each type that stands in vectors [`assert_slices`] compares
//! its slices, while compiling, with [`AnySlice`] and [`OptAnySlice`], as which machine, reader and encoder write and read
//! them. [`printed`] reads bytes as rows and constructors, of which every bit pattern is one but for the numbers of kinds and
//! payloads, which its caller promises.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::Int512;
use crate::table::layout::Layout;

/// `&[T]`, whatever `T` is.
///
/// Rust does not say how a slice reference is laid out, only that it is like the raw pointer. So code that describes a type
/// that stands in vectors has [`assert_slices`] compare its slices with these.
pub(super) type AnySlice = *const [()];

/// `Option<&[T]>`, whatever `T` is.
pub(super) type OptAnySlice = Option<NonNull<[()]>>;

/// Checks, while compiling, that `&[T]` and `Option<&[T]>` can be written and read as [`AnySlice`] and [`OptAnySlice`].
///
/// # Panics
///
/// Panics, at compile time, if they cannot.
#[allow(
    clippy::transmute_ptr_to_ptr,
    reason = "a cast would convert what is to be compared as it lies in memory"
)]
pub(in crate::table) const fn assert_slices<T>() {
    const LEN: usize = 0x0123_4567;
    let any = core::ptr::slice_from_raw_parts(NonNull::<T>::dangling().as_ptr().cast_const(), LEN);
    // A slice reference is a pointer and a length. Where one of them is as in `AnySlice`, so is the other.
    assert!(size_of::<AnySlice>() == 2 * size_of::<usize>() && align_of::<AnySlice>() == align_of::<&[T]>());
    // SAFETY: every value of two words is a raw slice pointer.
    assert!(unsafe { core::mem::transmute::<*const [T], AnySlice>(any) }.len() == LEN);
    // SAFETY: as above; the pointer is null or it is not.
    let (none, some) = unsafe {
        (
            core::mem::transmute::<Option<&[T]>, OptAnySlice>(None),
            core::mem::transmute::<Option<&[T]>, OptAnySlice>(Some(&[])),
        )
    };
    assert!(none.is_none());
    assert_zeros_are_none::<&[T]>();
    assert!(matches!(some, Some(slice) if slice.is_empty()));
}

/// Returns `count` elements from the one with the index `first`.
///
/// There are thousands of such parts in the tables of a large schema, and `split_at` takes what evaluates it while compiling
/// five times as long.
///
/// # Panics
///
/// Panics, at compile time, if there are not as many.
pub(in crate::table) const fn part_of<T>(all: &'static [T], first: usize, count: usize) -> &'static [T] {
    assert!(first <= all.len() && count <= all.len() - first);
    // SAFETY: the elements are in the slice, as was just checked.
    unsafe { core::slice::from_raw_parts(all.as_ptr().add(first), count) }
}

/// Reads rows and constructors from the bytes that the generator prints, numbers with the lowest byte first on every machine.
/// They are not laid out yet ([`layout`](crate::table::layout::layout)).
///
/// # Panics
///
/// Panics, at compile time, if there are not so many rows and lines.
///
/// # Safety
///
/// The first byte of each row must be the number of a `Kind`, and the fourth one 0 or 1; of each constructor, the byte at
/// index 18 must be 0 or 1.
pub const unsafe fn printed<const ROWS: usize, const LINES: usize>(
    rows: &[u8],
    constructors: &[u8],
) -> Layout<ROWS, LINES> {
    // SAFETY: both consist of numbers, besides what the caller promises.
    let layout = unsafe { Layout { rows: from_bytes(rows), constructors: from_bytes(constructors) } };
    if cfg!(target_endian = "big") { layout.turned() } else { layout }
}

/// Reads numbers from the bytes that the generator prints, the lowest byte first on every machine.
///
/// # Panics
///
/// Panics, at compile time, if there are not so many.
pub(in crate::table) const fn numbers<const N: usize>(bytes: &[u8]) -> [u16; N] {
    // SAFETY: every two bytes are a number.
    let mut numbers: [u16; N] = unsafe { from_bytes(bytes) };
    let mut index = 0;
    // Nothing is done where the lowest byte comes first anyway: each step costs compile time.
    while cfg!(target_endian = "big") && index < N {
        numbers[index] = u16::from_le(numbers[index]);
        index += 1;
    }
    numbers
}

/// Reads values that stand one behind the other.
///
/// # Panics
///
/// Panics, at compile time, if the bytes are not as many as `N` values take.
///
/// # Safety
///
/// The bytes must be values of `T`, one behind the other.
const unsafe fn from_bytes<T: Copy, const N: usize>(bytes: &[u8]) -> [T; N] {
    assert!(bytes.len() == size_of::<[T; N]>(), "as many bytes as the values take");
    // SAFETY: the bytes are there, as was just checked, and values, as the caller promises.
    unsafe { bytes.as_ptr().cast::<[T; N]>().read_unaligned() }
}

/// Checks, while compiling, that zeros are `None` of every optional type but `Option<bool>`: the decoder makes a struct
/// zero where it would otherwise write each field that is absent. Slices of other types are checked by
/// [`assert_slices`].
pub(super) const ZEROS_ARE_NONE: () = {
    assert_zeros_are_none::<u32>();
    assert_zeros_are_none::<i32>();
    assert_zeros_are_none::<Int512>();
    assert_zeros_are_none::<i64>();
    assert_zeros_are_none::<f64>();
    assert_zeros_are_none::<&str>();
    assert_zeros_are_none::<&[u8]>();
    assert_zeros_are_none::<[u8; 16]>();
    assert_zeros_are_none::<[u8; 32]>();
    assert_zeros_are_none::<&[u32]>();
    assert_zeros_are_none::<&[i32]>();
    assert_zeros_are_none::<&[Int512]>();
    assert_zeros_are_none::<&[i64]>();
    assert_zeros_are_none::<&[f64]>();
    assert_zeros_are_none::<&[bool]>();
    assert_zeros_are_none::<&[&str]>();
    assert_zeros_are_none::<&[&[u8]]>();
    assert_zeros_are_none::<&[[u8; 16]]>();
    assert_zeros_are_none::<&[[u8; 32]]>();
};

/// # Panics
///
/// Panics, at compile time, if zeros are not `None` of `Option<T>`.
const fn assert_zeros_are_none<T: Copy>() {
    // SAFETY: this is only called while compiling, where the compiler refuses to look at what is no value of the type.
    assert!(unsafe { MaybeUninit::<Option<T>>::zeroed().assume_init() }.is_none());
}
