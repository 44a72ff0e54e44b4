//! The numbers of kinds of rows, as `chappe_tl::__private::Kind` has them.

pub(super) const WORD: u8 = 0;
pub(super) const FLAG: u8 = 1;
pub(super) const NAT: u8 = 2;
pub(super) const INT: u8 = 3;
pub(super) const LONG: u8 = 4;
pub(super) const DOUBLE: u8 = 5;
pub(super) const BOOL: u8 = 6;
pub(super) const STR: u8 = 7;
pub(super) const BYTES: u8 = 8;
pub(super) const INT128: u8 = 9;
pub(super) const INT256: u8 = 10;
pub(super) const INT512: u8 = 11;
pub(super) const OBJECT: u8 = 12;
pub(super) const QUERY: u8 = 46;

/// What is added to the number of a kind for an optional field.
pub(super) const OPTIONAL: u8 = 11;
/// What is added to the number of a kind for a vector of it.
pub(super) const LIST: u8 = 22;
