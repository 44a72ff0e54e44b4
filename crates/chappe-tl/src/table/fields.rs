//! Writing a struct by its rows: what the encoding of a generated struct is made of.
//!
//! Generated code lists the types of the rows as a tuple ([`Struct::Rows`]), with [`Word`] where a flags word stands. What
//! else there is to know about a row, such as the bit it sets and where its field is, is looked up in the table **while
//! compiling**: nothing of the table is left in the code. So encoding costs nothing where types are generated, and is
//! straight-line code where they are used.

use core::marker::PhantomData;

use super::raw::FieldOf;
use super::{Described, Field, Kind, RawObject, Struct};
use crate::codegen::Encoded;
use crate::{EncodeError, FlagGroup, Serializable, Sink, SliceSink};

/// Writes a struct as its table says.
///
/// # Errors
///
/// Fails if a value has no encoding.
#[inline(always)]
pub(super) fn write<T: Struct<Rows: RowList>, S: Sink + ?Sized>(object: &T, out: &mut S) -> Encoded {
    if const { T::TYPE.boxed } { write_boxed(object, out) } else { write_whole::<T, false, S>(object, out) }
}

/// Writes the struct of a constructor behind its id. Not inlined without optimisation: an enum would need the stack of all its
/// variants then.
///
/// # Errors
///
/// Fails if a value has no encoding.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn write_boxed<T: Struct<Rows: RowList>, S: Sink + ?Sized>(object: &T, out: &mut S) -> Encoded {
    write_whole::<T, true, S>(object, out)
}

#[inline(always)]
fn write_whole<T: Struct<Rows: RowList>, const BOXED: bool, S: Sink + ?Sized>(
    object: &T,
    out: &mut S,
) -> Encoded {
    if const { is_short::<T>(BOXED) } {
        // So the sink is asked only once whether it has room.
        let mut space = [0; SHORT];
        let mut short = SliceSink::new(&mut space);
        write_rows::<T, BOXED, SliceSink<'_>>(object, &mut short)?;
        out.put(short.written().unwrap_or_default());
        return Ok(());
    }
    write_rows::<T, BOXED, S>(object, out)
}

#[inline(always)]
fn write_rows<T: Struct<Rows: RowList>, const BOXED: bool, S: Sink + ?Sized>(
    object: &T,
    out: &mut S,
) -> Encoded {
    const { assert!(<T::Rows as RowList>::COUNT == T::TYPE.only_rows().len()) };
    let mut words = Words::default();
    if BOXED {
        out.put_u32(const { T::TYPE.only().id });
    }
    T::Rows::write::<T, First, S>(object, &mut words, out)?;
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

/// The longest encoding that goes to the sink at once, in bytes.
const SHORT: usize = 64;

/// Whether every encoding of a struct is short and may have several parts.
const fn is_short<T: Described>(boxed: bool) -> bool {
    let (fields, mut index) = (T::TYPE.only_rows(), 0);
    let mut most = if boxed { 4 } else { 0 };
    while index < fields.len() {
        match fields[index].kind.most() {
            Some(len) => most += len,
            None => return false,
        }
        index += 1;
    }
    most <= SHORT && (boxed || fields.len() > 1)
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

/// What stands in one row.
pub trait Row {
    /// Returns whether a conditional field with this value is there.
    #[inline(always)]
    fn is_there(&self) -> bool {
        true
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// Fails if it has no encoding.
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded;
}

/// Any value that is always there.
impl<T: Described + Serializable> Row for T {
    #[inline(always)]
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        self.serialize(out)
    }
}

/// A conditional value that is no object.
impl<T: Serializable> Row for Option<T> {
    #[inline(always)]
    fn is_there(&self) -> bool {
        self.is_some()
    }

    #[inline(always)]
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        self.as_ref().map_or(Ok(()), |value| value.serialize(out))
    }
}

/// A conditional object.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Maybe<'a, T>(Option<&'a T>);

impl<T: Serializable> Row for Maybe<'_, T> {
    #[inline(always)]
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    #[inline(always)]
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        self.0.map_or(Ok(()), |value| value.serialize(out))
    }
}

/// `true` behind a flag bit.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Flag(bool);

impl Row for Flag {
    #[inline(always)]
    fn is_there(&self) -> bool {
        self.0
    }

    #[inline(always)]
    fn put<S: Sink + ?Sized>(&self, _: &mut S) -> Encoded {
        Ok(())
    }
}

/// A flags word. It has no field.
#[derive(Clone, Copy, Debug)]
pub struct Word;

impl Row for Word {
    #[inline(always)]
    fn put<S: Sink + ?Sized>(&self, _: &mut S) -> Encoded {
        Ok(())
    }
}

impl Row for RawObject<'_> {
    #[inline(always)]
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        self.serialize(out)
    }
}

/// The types of the rows of a struct, in the order of the wire.
pub trait RowList {
    /// How many they are.
    const COUNT: usize;

    /// Writes the fields, with zeros for the flags words, and notes the bits of those that are there.
    ///
    /// # Errors
    ///
    /// Fails if a value has no encoding.
    fn write<T: Struct, P: Position, S: Sink + ?Sized>(object: &T, words: &mut Words, out: &mut S)
    -> Encoded;
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

impl<P: Position, R: RowList> Position for After<P, R> {
    const AT: usize = P::AT + R::COUNT;
}

/// Two tuples, one after the other: for structs with more rows than a tuple can have.
#[derive(Debug)]
pub struct And<A, B>(PhantomData<(A, B)>);

impl<A: RowList, B: RowList> RowList for And<A, B> {
    const COUNT: usize = A::COUNT + B::COUNT;

    #[inline(always)]
    fn write<T: Struct, P: Position, S: Sink + ?Sized>(
        object: &T,
        words: &mut Words,
        out: &mut S,
    ) -> Encoded {
        A::write::<T, P, S>(object, words, out)?;
        B::write::<T, After<P, A>, S>(object, words, out)
    }
}

/// How a row is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Word,
    Flag,
    Optional,
    Plain,
}

/// What the table says about a row.
const fn row<T: Described>(index: usize) -> Field {
    T::TYPE.only_rows()[index]
}

const fn step<T: Described>(index: usize) -> Step {
    let field = row::<T>(index);
    match field.kind {
        Kind::Word => Step::Word,
        Kind::Flag => Step::Flag,
        _ if field.is_conditional() => Step::Optional,
        _ => Step::Plain,
    }
}

/// How many flags words there are.
const fn words_of<T: Described>() -> usize {
    let (fields, mut count, mut index) = (T::TYPE.only_rows(), 0, 0);
    while index < fields.len() {
        if matches!(fields[index].kind, Kind::Word) {
            count += 1;
        }
        index += 1;
    }
    count
}

/// Which row is the flags word with this number.
fn row_of_word<T: Described>(word: usize) -> usize {
    let fields = T::TYPE.only_rows();
    let is_word = |field: &Field| field.kind == Kind::Word && usize::from(field.word()) == word;
    fields.iter().position(is_word).unwrap_or_default()
}

/// Whether another row sets the same bit.
const fn is_shared<T: Described>(index: usize) -> bool {
    let (fields, own) = (T::TYPE.only_rows(), row::<T>(index));
    let mut other = 0;
    while other < fields.len() {
        let field = fields[other];
        if other != index && field.is_conditional() && field.word() == own.word() && field.bit() == own.bit()
        {
            return true;
        }
        other += 1;
    }
    false
}

#[cold]
fn torn<T: Described>(row: usize, bits: u32) -> EncodeError {
    let names = T::TYPE.only_line().text();
    EncodeError::PartialFlagGroup(FlagGroup::at(names, row + 1, bits.trailing_zeros() as u8))
}

macro_rules! tuples {
    ($($name:ident $index:tt,)+) => { tuples!(@ [] $($name $index,)+); };
    (@ [$($done:ident $at:tt,)*]) => {};
    (@ [$($done:ident $at:tt,)*] $name:ident $index:tt, $($rest:tt)*) => {
        tuples!(# $($done $at,)* $name $index,);
        tuples!(@ [$($done $at,)* $name $index,] $($rest)*);
    };
    (# $($name:ident $index:tt,)+) => {
        impl<$($name: Row,)+> RowList for ($($name,)+) {
            const COUNT: usize = [$($index,)+].len();

            #[inline(always)]
            fn write<T: Struct, P: Position, S: Sink + ?Sized>(
                object: &T,
                words: &mut Words,
                out: &mut S,
            ) -> Encoded {
                $(
                    let place = const { FieldOf::<T, $name>::of_row(P::AT + $index) };
                    let (word, bit) = const { (row::<T>(P::AT + $index).word() as usize, row::<T>(P::AT + $index).bit()) };
                    match const { step::<T>(P::AT + $index) } {
                        Step::Word => {
                            words.place[word] = out.position();
                            out.put_u32(0);
                        }
                        Step::Flag => {
                            let is_there = place.read(object).is_there();
                            words.set[word] |= u32::from(is_there) << bit;
                            if const { is_shared::<T>(P::AT + $index) } {
                                words.unset[word] |= u32::from(!is_there) << bit;
                            }
                        }
                        Step::Optional => {
                            let value = place.read(object);
                            if value.is_there() {
                                words.set[word] |= 1 << bit;
                                value.put(out)?;
                            } else if const { is_shared::<T>(P::AT + $index) } {
                                words.unset[word] |= 1 << bit;
                            }
                        }
                        Step::Plain => place.read(object).put(out)?,
                    }
                )+
                Ok(())
            }
        }
    };
}

tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, }

/// Of a struct without fields.
impl RowList for () {
    const COUNT: usize = 0;

    #[inline(always)]
    fn write<T: Struct, P: Position, S: Sink + ?Sized>(_: &T, _: &mut Words, _: &mut S) -> Encoded {
        Ok(())
    }
}
