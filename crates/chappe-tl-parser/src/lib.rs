//! Parser, schema model and schema diff for TL (Type Language) files.
#![forbid(unsafe_code)]
