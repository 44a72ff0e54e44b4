//! The numbers of kinds of rows, as `chappe_tl::table::Kind` has them.

pub(super) const WORD: u8 = 0;
pub(super) const FLAG: u8 = 1;
pub(super) const INT: u8 = 2;
pub(super) const LONG: u8 = 3;
pub(super) const DOUBLE: u8 = 4;
pub(super) const BOOL: u8 = 5;
pub(super) const STR: u8 = 6;
pub(super) const BYTES: u8 = 7;
pub(super) const INT128: u8 = 8;
pub(super) const INT256: u8 = 9;
pub(super) const OBJECT: u8 = 10;
pub(super) const QUERY: u8 = 38;

/// What is added to the number of a kind for the one that stands behind a flag bit.
pub(super) const OPTIONAL: u8 = 9;
/// What is added to the number of a kind for a vector of it.
pub(super) const LIST: u8 = 18;
