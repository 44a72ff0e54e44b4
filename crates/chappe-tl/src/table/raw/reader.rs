//! The reader: values of described types, field by field.
//!
//! **Proof.** A view is made of a reference to a value of a described type, of what the machine wrote for the same table, or of a
//! pointer that was read from such a value. So the value is there and valid as long as the view's lifetime, and the table says
//! which type each of its fields has. Fields are read as the types that the machine writes.

use core::marker::PhantomData;

use super::slices::{AnySlice, OptAnySlice};
use crate::Int512;
use crate::table::layout::Payload;
use crate::table::{Described, Family, Field, Kind, Line, RawObject, Tables, Type};

/// A value of a described type, which is read by its table.
#[derive(Clone, Copy)]
pub struct View<'v> {
    ty: &'static Type,
    at: *const u8,
    borrow: PhantomData<&'v ()>,
}

/// The value of a row.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'v> {
    /// Nothing: an absent optional field, or a flags word.
    Absent,
    /// `#` that is no flags word.
    Nat(u32),
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `double`.
    Double(f64),
    /// `Bool`, or the value of a `true` flag.
    Bool(bool),
    /// `string`.
    Str(&'v str),
    /// `bytes`.
    Bytes(&'v [u8]),
    /// `int128`.
    Int128(&'v [u8; 16]),
    /// `int256`.
    Int256(&'v [u8; 32]),
    /// `int512`.
    Int512(&'v Int512),
    /// Any other type.
    Object(View<'v>),
    /// `Vector<#>`.
    Nats(&'v [u32]),
    /// `Vector<int>`.
    Ints(&'v [i32]),
    /// `Vector<long>`.
    Longs(&'v [i64]),
    /// `Vector<double>`.
    Doubles(&'v [f64]),
    /// `Vector<Bool>`.
    Bools(&'v [bool]),
    /// `Vector<string>`.
    Strs(&'v [&'v str]),
    /// `Vector<bytes>`.
    ByteStrings(&'v [&'v [u8]]),
    /// `Vector<int128>`.
    Int128s(&'v [[u8; 16]]),
    /// `Vector<int256>`.
    Int256s(&'v [[u8; 32]]),
    /// `Vector<int512>`.
    Int512s(&'v [Int512]),
    /// A vector of any other type.
    Objects(Views<'v>),
    /// `!X`.
    Query(RawObject<'v>),
}

/// The elements of a vector of objects.
#[derive(Clone, Copy)]
pub struct Views<'v> {
    first: View<'v>,
    len: usize,
}

impl<'v> View<'v> {
    /// Views a value.
    pub fn new<T: Described>(value: &'v T) -> Self {
        const { T::TYPE.assert_is::<T>() };
        Self { ty: T::TYPE, at: core::ptr::from_ref(value).cast(), borrow: PhantomData }
    }

    /// Views a value, given as a member of its family.
    pub(in crate::table) fn of_family<T: Family>(value: &'v T::Of<'v>) -> Self {
        const { T::TYPE.assert_is::<T>() };
        Self { ty: T::TYPE, at: core::ptr::from_ref(value).cast(), borrow: PhantomData }
    }

    /// Views what is at `at`, of which the caller knows that the type describes it.
    pub(super) const fn at(ty: &'static Type, at: *const u8) -> Self {
        Self { ty, at, borrow: PhantomData }
    }

    /// Returns where the value stands.
    pub(super) const fn place(self) -> *const u8 {
        self.at
    }

    /// Returns the type of the value.
    pub fn ty(self) -> &'static Type {
        self.ty
    }

    /// Returns the constructor of the value, or `None` if its type has none, and the rows with their values.
    pub fn rows(self) -> (Option<Line>, Rows<'v>) {
        let tables = self.ty.tables();
        if let Some(field) = &self.ty.value {
            return (None, Rows { fields: core::slice::from_ref(field).iter(), tables, base: self });
        }
        // SAFETY: a view is made of a reference to the value (`new`) or of a pointer read from one, so the value is there
        // and valid for 'v, and the table describes it: with `payload` there is a discriminant at its start, and
        // the payload is the struct or a reference to it, as the constructor says.
        unsafe {
            let tag = if self.ty.payload == 0 { 0 } else { self.at.cast::<u32>().read() };
            let Some(constructor) = self.ty.tagged_as(tag) else {
                return (None, Rows { fields: [].iter(), tables, base: self });
            };
            let fields = tables.rows_of(constructor);
            let mut base = self.at.wrapping_add(self.ty.payload as usize);
            if constructor.payload == Payload::Reference && !self.ty.is_struct && !fields.is_empty() {
                base = base.cast::<*const u8>().read();
            }
            let base = Self { at: base, ..self };
            (Some(Line::new(tables, constructor)), Rows { fields: fields.iter(), tables, base })
        }
    }
}

/// The rows of a value, in the order of the wire.
pub struct Rows<'v> {
    fields: core::slice::Iter<'static, Field>,
    tables: &'static Tables,
    /// The struct of the rows.
    base: View<'v>,
}

impl<'v> Iterator for Rows<'v> {
    type Item = (Field, Value<'v>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = *self.fields.next()?;
        // SAFETY: `rows` made `base` the struct that these fields describe.
        Some((field, unsafe { read(field, self.tables, self.base) }))
    }
}

/// Reads one row.
///
/// # Safety
///
/// The struct that the row describes must be at `base.at`, valid for 'v.
unsafe fn read<'v>(field: Field, tables: &'static Tables, base: View<'v>) -> Value<'v> {
    let place = base.at.wrapping_add(field.offset());
    let view = |ty, at| View { ty, at, borrow: base.borrow };
    // SAFETY of every read: the table says that the field at this offset has this type, and the struct is initialised.
    macro_rules! get {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            Value::$variant(unsafe { place.cast::<$type>().read() })
        };
    }
    macro_rules! opt {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            unsafe { place.cast::<Option<$type>>().read() }.map_or(Value::Absent, Value::$variant)
        };
    }
    // SAFETY: see above; references to fields live as long as the struct.
    macro_rules! by_ref {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            Value::$variant(unsafe { &*place.cast::<$type>() })
        };
    }
    macro_rules! opt_by_ref {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            unsafe { &*place.cast::<Option<$type>>() }.as_ref().map_or(Value::Absent, Value::$variant)
        };
    }
    match field.kind {
        Kind::Nat => get!(u32, Nat),
        Kind::Int => get!(i32, Int),
        Kind::Long => get!(i64, Long),
        Kind::Double => get!(f64, Double),
        Kind::Flag | Kind::Bool => get!(bool, Bool),
        Kind::Str => get!(&'v str, Str),
        Kind::Bytes => get!(&'v [u8], Bytes),
        Kind::Int128 => by_ref!([u8; 16], Int128),
        Kind::Int256 => by_ref!([u8; 32], Int256),
        Kind::Int512 => by_ref!(Int512, Int512),
        Kind::Object => Value::Object(view(tables.target(field), place)),
        Kind::OptNat => opt!(u32, Nat),
        Kind::OptInt => opt!(i32, Int),
        Kind::OptLong => opt!(i64, Long),
        Kind::OptDouble => opt!(f64, Double),
        Kind::OptBool => opt!(bool, Bool),
        Kind::OptStr => opt!(&'v str, Str),
        Kind::OptBytes => opt!(&'v [u8], Bytes),
        Kind::OptInt128 => opt_by_ref!([u8; 16], Int128),
        Kind::OptInt256 => opt_by_ref!([u8; 32], Int256),
        Kind::OptInt512 => opt_by_ref!(Int512, Int512),
        Kind::OptObject => {
            // SAFETY: see above; `Option<&T>` is a pointer that may be null.
            let at = unsafe { place.cast::<*const u8>().read() };
            if at.is_null() { Value::Absent } else { Value::Object(view(tables.target(field), at)) }
        }
        Kind::ListNat => get!(&'v [u32], Nats),
        Kind::ListInt => get!(&'v [i32], Ints),
        Kind::ListLong => get!(&'v [i64], Longs),
        Kind::ListDouble => get!(&'v [f64], Doubles),
        Kind::ListBool => get!(&'v [bool], Bools),
        Kind::ListStr => get!(&'v [&'v str], Strs),
        Kind::ListBytes => get!(&'v [&'v [u8]], ByteStrings),
        Kind::ListInt128 => get!(&'v [[u8; 16]], Int128s),
        Kind::ListInt256 => get!(&'v [[u8; 32]], Int256s),
        Kind::ListInt512 => get!(&'v [Int512], Int512s),
        Kind::OptListNat => opt!(&'v [u32], Nats),
        Kind::OptListInt => opt!(&'v [i32], Ints),
        Kind::OptListLong => opt!(&'v [i64], Longs),
        Kind::OptListDouble => opt!(&'v [f64], Doubles),
        Kind::OptListBool => opt!(&'v [bool], Bools),
        Kind::OptListStr => opt!(&'v [&'v str], Strs),
        Kind::OptListBytes => opt!(&'v [&'v [u8]], ByteStrings),
        Kind::OptListInt128 => opt!(&'v [[u8; 16]], Int128s),
        Kind::OptListInt256 => opt!(&'v [[u8; 32]], Int256s),
        Kind::OptListInt512 => opt!(&'v [Int512], Int512s),
        Kind::ListObject => {
            // SAFETY: see above; `assert_slices` compared `&[T]` with this.
            let slice = unsafe { place.cast::<AnySlice>().read() };
            Value::Objects(Views { first: view(tables.target(field), slice.cast()), len: slice.len() })
        }
        Kind::OptListObject => {
            // SAFETY: see above; `assert_slices` compared `Option<&[T]>` with this.
            unsafe { place.cast::<OptAnySlice>().read() }.map_or(Value::Absent, |slice| {
                Value::Objects(Views {
                    first: view(tables.target(field), slice.as_ptr().cast_const().cast()),
                    len: slice.len(),
                })
            })
        }
        Kind::Query => get!(RawObject<'v>, Query),
        Kind::Word => Value::Absent,
    }
}

impl<'v> Views<'v> {
    /// Returns the number of elements.
    pub fn len(self) -> usize {
        self.len
    }

    /// Returns whether there is no element.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the elements in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = View<'v>> {
        let Self { first, len } = self;
        // The elements stand one after the other, `size` bytes apart.
        (0..len).map(move |index| View { at: first.at.wrapping_add(index * first.ty.size as usize), ..first })
    }
}
