//! What a listener over sockets of one's own is made of.

pub use crate::conversation::{Conversation, Write};
pub use crate::gate::{Gate, Place};
pub use crate::kit::{Kit, Shelf};
