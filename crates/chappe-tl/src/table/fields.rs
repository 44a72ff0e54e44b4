//! Writing a struct by its rows: what the encoding of a generated type is made of.
//!
//! Generated code lists the fields of a struct as a tuple, with [`Word`] where a flags word stands. What else there is
//! to know about a row, such as the bit it sets, is looked up in the table **while compiling**: nothing of the table is
//! left in the code. So a body costs little where it is generated, and is straight-line code where it is used.

use core::marker::PhantomData;

use super::Layout;
use super::{Field, Kind};
use crate::codegen::Encoded;
use crate::{EncodeError, FlagGroup, Serializable, Sink};

/// Stands in the tuple for a flags word.
#[derive(Clone, Copy, Debug)]
pub struct Word;

impl Serializable for Word {
    fn serialize<S: Sink + ?Sized>(&self, _: &mut S) -> Encoded {
        Ok(())
    }
}

/// Two tuples, one after the other: for structs with more fields than a tuple can have.
#[derive(Clone, Copy, Debug)]
pub struct And<A, B>(pub A, pub B);

/// Writes a struct, given its fields as a tuple.
///
/// # Errors
///
/// Fails if a value has no encoding.
#[inline(always)]
#[allow(clippy::needless_pass_by_value, reason = "generated code is shorter without a reference")]
pub fn write<T: Layout, S: Sink + ?Sized>(_: &T, rows: impl Fields, out: &mut S) -> Encoded {
    let mut words = Words::default();
    if const { T::LAYOUT.boxed } {
        out.put_u32(const { T::LAYOUT.constructors[0].id });
    }
    rows.write::<T, First, S>(&mut words, out)?;
    let mut word = 0;
    while word < const { words_of::<T>() } {
        let torn_bits = words.set[word] & words.unset[word];
        if torn_bits != 0 {
            return Err(torn::<T>(row_of_word::<T>(word), torn_bits));
        }
        out.patch_u32(words.place[word], words.set[word]);
        word += 1;
    }
    Ok(())
}

/// The flags words of a struct in the making.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    set: [u32; 4],
    /// Bits of fields that share them with others, and are not there.
    unset: [u32; 4],
    /// Where the words stand in the sink.
    place: [usize; 4],
}

/// The fields of a struct, in the order of the wire.
pub trait Fields {
    /// How many they are.
    const COUNT: usize;

    /// Writes them, with zeros for the flags words, and sets the bits of those that are there.
    ///
    /// # Errors
    ///
    /// Fails if a value has no encoding.
    fn write<T: Layout, P: Position, S: Sink + ?Sized>(&self, words: &mut Words, out: &mut S) -> Encoded;
}

/// Which row of the table a tuple begins with.
pub trait Position {
    /// Its index.
    const AT: usize;
}

/// The first row.
#[derive(Debug)]
pub struct First;

impl Position for First {
    const AT: usize = 0;
}

/// The row behind the rows `R`, which begin at `P`.
#[derive(Debug)]
pub struct After<P, R>(PhantomData<(P, R)>);

impl<P: Position, R: Fields> Position for After<P, R> {
    const AT: usize = P::AT + R::COUNT;
}

impl<A: Fields, B: Fields> Fields for And<A, B> {
    const COUNT: usize = A::COUNT + B::COUNT;

    #[inline(always)]
    fn write<T: Layout, P: Position, S: Sink + ?Sized>(&self, words: &mut Words, out: &mut S) -> Encoded {
        self.0.write::<T, P, S>(words, out)?;
        self.1.write::<T, After<P, A>, S>(words, out)
    }
}

/// What the table says about a row.
const fn row<T: Layout>(index: usize) -> &'static Field {
    &T::LAYOUT.constructors[0].fields[index]
}

/// How many flags words there are.
const fn words_of<T: Layout>() -> usize {
    let (fields, mut count, mut index) = (T::LAYOUT.constructors[0].fields, 0, 0);
    while index < fields.len() {
        if matches!(fields[index].kind, Kind::Word) {
            count += 1;
        }
        index += 1;
    }
    count
}

/// Which row is the flags word with this number.
fn row_of_word<T: Layout>(word: usize) -> usize {
    let fields = T::LAYOUT.constructors[0].fields;
    let is_word = |field: &Field| field.kind == Kind::Word && usize::from(field.word()) == word;
    fields.iter().position(is_word).unwrap_or_default()
}

/// Whether another row sets the same bit.
const fn is_shared<T: Layout>(index: usize) -> bool {
    let (fields, own) = (T::LAYOUT.constructors[0].fields, row::<T>(index));
    let mut other = 0;
    while other < fields.len() {
        let field = &fields[other];
        if other != index && field.is_conditional() && field.word() == own.word() && field.bit() == own.bit()
        {
            return true;
        }
        other += 1;
    }
    false
}

#[cold]
fn torn<T: Layout>(row: usize, bits: u32) -> EncodeError {
    let names = &T::LAYOUT.constructors[0].names;
    EncodeError::PartialFlagGroup(FlagGroup::new(names, row + 1, bits.trailing_zeros() as u8))
}

macro_rules! tuples {
    ($($name:ident $index:tt,)+) => { tuples!(@ [] $($name $index,)+); };
    (@ [$($done:ident $at:tt,)*]) => {};
    (@ [$($done:ident $at:tt,)*] $name:ident $index:tt, $($rest:tt)*) => {
        tuples!(# $($done $at,)* $name $index,);
        tuples!(@ [$($done $at,)* $name $index,] $($rest)*);
    };
    (# $($name:ident $index:tt,)+) => {
        impl<$($name: Serializable,)+> Fields for ($($name,)+) {
            const COUNT: usize = [$($index,)+].len();

            #[inline(always)]
            fn write<T: Layout, P: Position, S: Sink + ?Sized>(
                &self,
                words: &mut Words,
                out: &mut S,
            ) -> Encoded {
                $(
                    let (word, bit) =
                        const { (row::<T>(P::AT + $index).word() as usize, row::<T>(P::AT + $index).bit()) };
                    if const { matches!(row::<T>(P::AT + $index).kind, Kind::Word) } {
                        words.place[word] = out.position();
                        out.put_u32(0);
                    } else if const { matches!(row::<T>(P::AT + $index).kind, Kind::Flag) } {
                        words.set[word] |= u32::from(self.$index.is_there()) << bit;
                        if const { is_shared::<T>(P::AT + $index) } {
                            words.unset[word] |= u32::from(!self.$index.is_there()) << bit;
                        }
                    } else if const { row::<T>(P::AT + $index).is_conditional() } {
                        if self.$index.is_there() {
                            words.set[word] |= 1 << bit;
                            self.$index.serialize(out)?;
                        } else if const { is_shared::<T>(P::AT + $index) } {
                            words.unset[word] |= 1 << bit;
                        }
                    } else {
                        self.$index.serialize(out)?;
                    }
                )+
                Ok(())
            }
        }
    };
}

tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, }

/// Of a struct without fields.
impl Fields for () {
    const COUNT: usize = 0;

    fn write<T: Layout, P: Position, S: Sink + ?Sized>(&self, _: &mut Words, _: &mut S) -> Encoded {
        Ok(())
    }
}
