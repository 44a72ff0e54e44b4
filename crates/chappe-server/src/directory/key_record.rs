//! What a directory knows of a key, as bytes.

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{ServerSalt, UnixTime};
use chappe_types::DcId;
use zeroize::Zeroizing;

use crate::KeyStatus;

/// A key, and what a server knows of it besides its sessions.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The key.
    pub auth_key: AuthKey,
    /// Whether it is permanent, and if not, when it ends and what it is bound to.
    pub status: KeyStatus,
    /// The datacenter that the client named when it made the key.
    pub dc: Option<DcId>,
    /// The salt of the handshake, and until when it is accepted.
    pub first_salt: Option<(ServerSalt, UnixTime)>,
    /// When a permanent key is dropped that no client has used. `None` once it was used.
    pub unused_until: Option<UnixTime>,
}

/// The version of the encoding.
const VERSION: u8 = 1;

/// In front of a field that is absent, and one that is present.
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

const PERMANENT: u8 = 0;
const TEMPORARY: u8 = 1;

impl KeyRecord {
    /// Encodes the record: version, `auth_key`, and the other fields, little-endian. At most 310 bytes.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // As large as it can get, so that no copy of the key is left behind in freed memory.
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        out.push(VERSION);
        out.extend_from_slice(self.auth_key.as_bytes());
        match self.status {
            KeyStatus::Permanent => out.push(PERMANENT),
            KeyStatus::Temporary { expires_at, bound_to } => {
                out.push(TEMPORARY);
                put_time(&mut out, expires_at);
                put(&mut out, bound_to.map(|id| *id.as_bytes()));
            }
        }
        put(&mut out, self.dc.map(|dc| dc.to_raw().to_le_bytes()));
        match self.first_salt {
            None => out.push(ABSENT),
            Some((salt, until)) => {
                out.push(PRESENT);
                out.extend_from_slice(&salt.to_raw().to_le_bytes());
                put_time(&mut out, until);
            }
        }
        put(&mut out, self.unused_until.map(|until| until.as_nanos().to_le_bytes()));
        out
    }

    /// Decodes a record. Returns `None` if it is not one, or not of this key.
    pub(super) fn from_bytes(id: AuthKeyId, bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [VERSION] {
            return None;
        }
        let auth_key = AuthKey::from_slice(rest.split_off(..AUTH_KEY_LEN)?).ok()?;
        let (mut bound_to, mut dc, mut first_salt, mut unused_until) = (None, None, None, None);
        let status = match take::<1>(&mut rest)? {
            [PERMANENT] => KeyStatus::Permanent,
            [TEMPORARY] => {
                let expires_at = time_of(take(&mut rest)?);
                take_optional(&mut rest, |raw| Some(AuthKeyId::from_bytes(raw)), &mut bound_to)?;
                KeyStatus::Temporary { expires_at, bound_to }
            }
            _ => return None,
        };
        take_optional(&mut rest, |raw| DcId::from_raw(i32::from_le_bytes(raw)), &mut dc)?;
        take_optional(
            &mut rest,
            |raw: [u8; 16]| {
                let (salt, until) = raw.split_first_chunk()?;
                let salt = ServerSalt::from_raw(i64::from_le_bytes(*salt));
                Some((salt, time_of(until.try_into().ok()?)))
            },
            &mut first_salt,
        )?;
        take_optional(&mut rest, |raw| Some(time_of(raw)), &mut unused_until)?;
        let is_whole = rest.is_empty() && auth_key.id() == id;
        is_whole.then_some(Self { auth_key, status, dc, first_salt, unused_until })
    }

    /// Returns the permanent key that it is bound to.
    pub(super) const fn bound_to(&self) -> Option<AuthKeyId> {
        match self.status {
            KeyStatus::Permanent => None,
            KeyStatus::Temporary { bound_to, .. } => bound_to,
        }
    }

    /// Returns when a directory may drop the key.
    pub(super) const fn expires_at(&self) -> Option<UnixTime> {
        match self.status {
            KeyStatus::Permanent => self.unused_until,
            KeyStatus::Temporary { expires_at, .. } => Some(expires_at),
        }
    }
}

/// Bytes of an `auth_key`.
const AUTH_KEY_LEN: usize = 256;

fn put<const N: usize>(out: &mut Vec<u8>, field: Option<[u8; N]>) {
    out.push(if field.is_some() { PRESENT } else { ABSENT });
    out.extend(field.into_iter().flatten());
}

fn put_time(out: &mut Vec<u8>, time: UnixTime) {
    out.extend_from_slice(&time.as_nanos().to_le_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    rest.split_off(..N)?.try_into().ok()
}

/// Takes a field that may be absent, and converts it.
fn take_optional<const N: usize, T>(
    rest: &mut &[u8],
    read: impl FnOnce([u8; N]) -> Option<T>,
    into: &mut Option<T>,
) -> Option<()> {
    match take::<1>(rest)? {
        [ABSENT] => *into = None,
        [PRESENT] => *into = Some(read(take(rest)?)?),
        _ => return None,
    }
    Some(())
}

const fn time_of(raw: [u8; 8]) -> UnixTime {
    UnixTime::from_nanos(u64::from_le_bytes(raw))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_nanos(1_800_000_000_123_456_789);

    /// Records with every field present, and absent.
    pub(crate) fn records() -> Vec<KeyRecord> {
        let auth_key = AuthKey::from_bytes([7; 256]);
        let bound_to = Some(AuthKeyId::from_raw(5));
        let full = KeyRecord {
            auth_key,
            status: KeyStatus::Temporary { expires_at: NOW, bound_to },
            dc: DcId::from_raw(-10_002),
            first_salt: Some((ServerSalt::from_raw(-9), NOW)),
            unused_until: Some(NOW),
        };
        let unbound = KeyStatus::Temporary { expires_at: NOW, bound_to: None };
        vec![
            KeyRecord { status: unbound, first_salt: None, ..full.clone() },
            KeyRecord { status: KeyStatus::Permanent, dc: None, unused_until: None, ..full.clone() },
            full,
        ]
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_no_other_bytes_are() {
        for record in records() {
            let (id, bytes) = (record.auth_key.id(), record.to_bytes());
            assert!(bytes.len() <= 310 && bytes.capacity() == 512, "{} bytes", bytes.len());
            let read = KeyRecord::from_bytes(id, &bytes).expect("it was just written");
            assert_eq!(format!("{read:?}"), format!("{record:?}"));
            assert_eq!(read.auth_key.as_bytes(), record.auth_key.as_bytes());
            assert!(KeyRecord::from_bytes(AuthKeyId::from_raw(1), &bytes).is_none(), "of another key");
            for len in 0..bytes.len() {
                assert!(KeyRecord::from_bytes(id, &bytes[..len]).is_none(), "cut after {len} bytes");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(KeyRecord::from_bytes(id, &longer).is_none());
        }
    }
}
