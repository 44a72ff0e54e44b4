//! The types of Telegram's secret chats, generated from their TL schema.
//!
//! They are what both ends of a secret chat encrypt for each other. [`types`] are the constructors (bare: their fields only),
//! [`enums`] the types (boxed: a constructor id and its fields).
//!
//! Both ends use the lower of their layers ([`LAYER`] is the newest one here). Where a later layer changed a constructor, the plain
//! name is that of the newest form, and earlier forms have the number of their layer: `DecryptedMessage` is of layer 73,
//! `DecryptedMessageLayer8`, `DecryptedMessageLayer17` and `DecryptedMessageLayer45` are older. From layer 17 on a message is
//! inside of a [`types::DecryptedMessageLayer`].
//!
//! `Debug` prints all fields, the text and the keys of files included.
//!
//! Not here: encryption (`chappe-crypto`), the functions that carry encrypted messages (`chappe-tl-api`).
//!
//! Specification: <https://core.telegram.org/schema/end-to-end>, <https://core.telegram.org/api/end-to-end>.
//!
//! # Example
//!
//! ```
//! use chappe_tl::{Deserializable, Serializable};
//! use chappe_tl_secret::{enums, types};
//!
//! let deleted = types::DecryptedMessageActionDeleteMessages { random_ids: vec![1, 2] };
//! let service = types::DecryptedMessageService { random_id: 3, action: deleted.into() };
//! let layer = types::DecryptedMessageLayer {
//!     random_bytes: vec![0; 16],
//!     layer: chappe_tl_secret::LAYER,
//!     in_seq_no: 0,
//!     out_seq_no: 1,
//!     message: service.into(),
//! };
//! let bytes = enums::DecryptedMessageLayer::from(layer.clone()).to_bytes();
//! assert_eq!(enums::DecryptedMessageLayer::from_bytes(&bytes)?, layer.into());
//! # Ok::<(), chappe_tl::DecodeError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod generated;

pub use generated::{LAYER, enums, name_for_id, types};
