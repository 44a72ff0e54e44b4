//! The wrappers around a query: layer, device, order, updates, packing; in any order and depth up to a bound.
//!
//! Spec: <https://core.telegram.org/api/invoking>.

use std::cell::OnceCell;

use chappe_framing::{AcceptedFormat, GZIP_PACKED, GzipPacked, Inflater, MsgId, constructor_id};
use chappe_tl::Deserializable;
use chappe_tl::deserialize::{self, Cursor};
use chappe_types::RpcError;

use super::client_info::Device;
use super::schema::enums;

/// Wrappers accepted around one query. Clients use four; a bound keeps a hostile one from nesting without end.
const MAX_DEPTH: usize = 8;

const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;
const INIT_CONNECTION: u32 = 0xc1cd_5ea9;
const INVOKE_WITH_LAYER: u32 = 0xda9b_0d0d;
const INVOKE_WITHOUT_UPDATES: u32 = 0xbf94_59b7;

/// A query without its wrappers, and what they said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unwrapped {
    pub(super) query: Vec<u8>,
    /// Of `invokeWithLayer`.
    pub(super) layer: Option<i32>,
    /// Of `initConnection`.
    pub(super) device: Option<Device>,
    /// Whether `invokeWithoutUpdates` was there.
    pub(super) is_without_updates: bool,
    /// Messages that `invokeAfterMsg(s)` waits for.
    pub(super) after: Vec<MsgId>,
}

/// Removes the wrappers of a query. `unpack` unpacks a `gzip_packed`.
pub(super) fn unwrap(
    query: &[u8],
    unpack: impl Fn(&[u8]) -> Result<Vec<u8>, RpcError>,
) -> Result<Unwrapped, RpcError> {
    let unpacked = OnceCell::new();
    let mut found = Unwrapped::default();
    let mut rest = query;
    for _ in 0..MAX_DEPTH {
        rest = match constructor_id(rest) {
            Ok(GZIP_PACKED) if unpacked.get().is_none() => {
                let bytes = unpack(rest)?;
                unpacked.get_or_init(|| bytes)
            }
            Ok(id) if is_wrapper(id) => {
                let mut cursor = Cursor::from_slice(&rest[4..]);
                read_wrapper(id, &mut cursor, &mut found).map_err(|_| malformed())?;
                cursor.rest()
            }
            Ok(_) => {
                found.query = rest.to_vec();
                return Ok(found);
            }
            Err(_) => return Err(malformed()),
        };
    }
    Err(RpcError::new(400, "INPUT_REQUEST_TOO_LONG"))
}

const fn is_wrapper(id: u32) -> bool {
    matches!(
        id,
        INVOKE_AFTER_MSG | INVOKE_AFTER_MSGS | INIT_CONNECTION | INVOKE_WITH_LAYER | INVOKE_WITHOUT_UPDATES
    )
}

/// Reads the fields of a wrapper behind its id, up to the query.
fn read_wrapper(id: u32, cursor: &mut Cursor<'_>, found: &mut Unwrapped) -> deserialize::Result<()> {
    match id {
        INVOKE_WITH_LAYER => found.layer = Some(cursor.read_i32()?),
        INIT_CONNECTION => found.device = Some(read_device(cursor)?),
        INVOKE_AFTER_MSG => found.after.push(MsgId::from_raw(cursor.read_i64()?)),
        INVOKE_AFTER_MSGS => {
            found.after.extend(Vec::<i64>::deserialize(cursor)?.into_iter().map(MsgId::from_raw));
        }
        _ => found.is_without_updates = true,
    }
    Ok(())
}

/// `initConnection#c1cd5ea9 {X:Type} flags:# api_id:int device_model:string system_version:string app_version:string
/// system_lang_code:string lang_pack:string lang_code:string proxy:flags.0?InputClientProxy params:flags.1?JSONValue
/// query:!X = X;`
fn read_device(cursor: &mut Cursor<'_>) -> deserialize::Result<Device> {
    let flags = cursor.read_u32()?;
    let api_id = cursor.read_i32()?;
    let mut text = || String::deserialize(cursor).map(Device::shortened);
    let device = Device {
        api_id,
        device_model: text()?,
        system_version: text()?,
        app_version: text()?,
        system_lang_code: text()?,
        lang_pack: text()?,
        lang_code: text()?,
    };
    if flags & 1 != 0 {
        enums::InputClientProxy::deserialize(cursor)?;
    }
    if flags & 2 != 0 {
        enums::Jsonvalue::deserialize(cursor)?;
    }
    Ok(device)
}

/// Unpacks a `gzip_packed` of at most `limit` bytes. Clients send zlib streams as well as gzip ones.
pub(super) fn unpack(object: &[u8], limit: usize) -> Result<Vec<u8>, RpcError> {
    let packed = GzipPacked::new_checked(object).map_err(|_| malformed())?;
    let mut inflater = Inflater::new(AcceptedFormat::GzipOrZlib);
    inflater.unpack(&packed, limit).map(<[u8]>::to_vec).map_err(|_| malformed())
}

fn malformed() -> RpcError {
    RpcError::new(400, "INPUT_FETCH_ERROR")
}

#[cfg(test)]
mod tests {
    use chappe_tl::Serializable as _;

    use super::*;

    fn none(_: &[u8]) -> Result<Vec<u8>, RpcError> {
        Err(RpcError::new(420, "FLOOD_WAIT_1"))
    }

    fn with(id: u32, fields: &[u8], query: &[u8]) -> Vec<u8> {
        [&id.to_le_bytes()[..], fields, query].concat()
    }

    fn init_connection(query: &[u8]) -> Vec<u8> {
        let mut fields = [3_u32.to_le_bytes(), 17_i32.to_le_bytes()].concat();
        for text in ["model", "system", "app", "en-us", "", "de"] {
            fields.extend(text.to_owned().to_bytes());
        }
        fields.extend(0x7558_8b3f_u32.to_le_bytes());
        fields.extend("proxy.example".to_owned().to_bytes());
        fields.extend(443_i32.to_le_bytes());
        fields.extend(0x3f6d_7b68_u32.to_le_bytes());
        with(INIT_CONNECTION, &fields, query)
    }

    #[test]
    fn wrappers_come_off_in_any_order_and_are_told() {
        let query = [1, 2, 3, 4, 5, 6, 7, 8];
        let inside = init_connection(&with(INVOKE_WITHOUT_UPDATES, &[], &query));
        let ids = [&0x1cb5_c415_u32.to_le_bytes()[..], &2_u32.to_le_bytes(), &[0; 16]].concat();
        let after = with(INVOKE_AFTER_MSGS, &ids, &with(INVOKE_AFTER_MSG, &8_i64.to_le_bytes(), &inside));
        let found =
            unwrap(&with(INVOKE_WITH_LAYER, &200_i32.to_le_bytes(), &after), none).expect("all are known");
        assert_eq!(found.query, query);
        assert_eq!((found.layer, found.is_without_updates), (Some(200), true));
        assert_eq!(found.after, [0, 0, 8].map(MsgId::from_raw));
        let device = found.device.expect("initConnection is there");
        assert_eq!((device.api_id, &*device.device_model, &*device.lang_code), (17, "model", "de"));
    }

    #[test]
    fn every_prefix_of_a_wrapper_is_refused_or_read_as_it_is() {
        let whole = with(INVOKE_WITH_LAYER, &[1, 0, 0, 0], &init_connection(&[9; 4]));
        for len in 0..whole.len() - 4 {
            if let Ok(found) = unwrap(&whole[..len], none) {
                assert!(len < 4 || len == 8 || found.query.is_empty(), "{len}: {found:?}");
            }
        }
    }

    #[test]
    fn nesting_and_packing_are_bounded() {
        let mut query = vec![9; 4];
        for _ in 0..MAX_DEPTH {
            query = with(INVOKE_WITHOUT_UPDATES, &[], &query);
        }
        assert_eq!(unwrap(&query, none).unwrap_err().message, "INPUT_REQUEST_TOO_LONG");
        assert!(unwrap(&query[4..], none).is_ok());
        let garbage = with(GZIP_PACKED, &[3, 1, 2, 3], &[]);
        assert_eq!(unwrap(&garbage, none).unwrap_err().message, "FLOOD_WAIT_1");
        assert_eq!(
            unwrap(&garbage, |object| unpack(object, 1 << 20)).unwrap_err().message,
            "INPUT_FETCH_ERROR"
        );
    }
}
