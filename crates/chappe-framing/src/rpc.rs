//! `rpc_result` and `rpc_error`, read as views and written without a copy.
//!
//! `rpc_result` has no generated type, because the type of the result follows from the request.
//!
//! Not here: which request a `req_msg_id` belongs to, and the type of its result.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#response-to-an-rpc-query>.

use crate::{FrameError, MalformedFrame, MsgId, PeerMisbehaved};
use chappe_tl::Deserializable;
use chappe_tl::Sink;
use chappe_tl_mtproto::types;
use chappe_types::RpcError;

use crate::gzip::{GZIP_PACKED, GzipPacked};
use crate::message::{array, constructor_id};

mod field {
    use core::ops::Range;
    pub(super) const ID: Range<usize> = 0..4;
    pub(super) const REQ_MSG_ID: Range<usize> = ID.end..12;
}

/// Constructor id of `rpc_result`.
pub const RPC_RESULT: u32 = 0xf35c_6d01;

/// Constructor id of `rpc_error`.
pub const RPC_ERROR: u32 = 0x2144_ca19;

/// Length of the header in front of the result: constructor id 4, `req_msg_id` 8.
pub const RPC_RESULT_HEADER_LEN: usize = field::REQ_MSG_ID.end;

/// Writes the header of a result. The caller appends the object.
pub fn write_rpc_result_header(out: &mut (impl Sink + ?Sized), req_msg_id: MsgId) {
    out.put(&RPC_RESULT.to_le_bytes());
    out.put(&req_msg_id.to_bytes());
}

/// A view of an `rpc_result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpcResult<'a> {
    req_msg_id: MsgId,
    result: &'a [u8],
}

/// The content of an [`RpcResult`].
#[derive(Clone, Debug, PartialEq)]
pub enum RpcOutcome<'a> {
    /// The result, starting with its constructor id.
    Object(&'a [u8]),
    /// The result, or an `rpc_error`, compressed.
    Packed(GzipPacked<'a>),
    /// The request failed.
    Error(RpcError),
}

impl<'a> RpcResult<'a> {
    /// Checks the object of a message that starts with the constructor id of `rpc_result`.
    ///
    /// # Errors
    ///
    /// * [`MalformedFrame::TooShort`] if there is no whole header or no result after it.
    /// * [`MalformedFrame::UnexpectedConstructor`] if it is another object.
    /// * [`PeerMisbehaved::ZeroRequest`] if it names message zero (SEC-98).
    #[inline]
    pub fn new_checked(object: &'a [u8]) -> Result<Self, FrameError> {
        let min = RPC_RESULT_HEADER_LEN + 4;
        let (header, result) = object
            .split_first_chunk::<RPC_RESULT_HEADER_LEN>()
            .filter(|_| object.len() >= min)
            .ok_or(MalformedFrame::TooShort { len: object.len(), min })?;
        let id = u32::from_le_bytes(array(&header[field::ID]));
        if id != RPC_RESULT {
            return Err(MalformedFrame::UnexpectedConstructor { id }.into());
        }
        let req_msg_id = MsgId::from_bytes(array(&header[field::REQ_MSG_ID]));
        if req_msg_id.to_raw() == 0 {
            return Err(PeerMisbehaved::ZeroRequest.into());
        }
        Ok(Self { req_msg_id, result })
    }

    /// Returns the id of the answered message.
    pub const fn req_msg_id(&self) -> MsgId {
        self.req_msg_id
    }

    /// Returns the bytes of the result.
    pub const fn result(&self) -> &'a [u8] {
        self.result
    }

    /// Distinguishes a plain result, a compressed one and an error.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame::Tl`] or [`MalformedFrame::TrailingBytes`] if an error or a `gzip_packed` cannot be
    /// read. Use [`RpcOutcome::read`] again on what was unpacked.
    pub fn outcome(&self) -> Result<RpcOutcome<'a>, FrameError> {
        RpcOutcome::read(self.result)
    }
}

impl<'a> RpcOutcome<'a> {
    /// Reads the object in an `rpc_result`.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame::TooShort`] if there is no constructor id, [`MalformedFrame::Tl`] or
    /// [`MalformedFrame::TrailingBytes`] if an error or a `gzip_packed` cannot be read.
    pub fn read(object: &'a [u8]) -> Result<Self, FrameError> {
        Ok(match constructor_id(object)? {
            RPC_ERROR => {
                let error = types::RpcError::from_bytes(&object[field::ID.end..])?;
                Self::Error(RpcError { code: error.error_code, message: error.error_message })
            }
            GZIP_PACKED => Self::Packed(GzipPacked::new_checked(object)?),
            _ => Self::Object(object),
        })
    }
}
