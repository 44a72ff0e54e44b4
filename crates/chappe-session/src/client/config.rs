//! How a client's session is set up.

use alloc::boxed::Box;
use alloc::vec::Vec;

use chappe_crypto::AuthKey;
use chappe_framing::{Padding, ServerSalt};
use chappe_tl::{EncodeError, Serializable, Sink};
use zeroize::Zeroizing;

use crate::SessionLimits;
use crate::liveness::LivenessPolicy;
use crate::salts::TimedSalt;

/// The configuration of a client's session.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The bounds of all tables.
    pub limits: SessionLimits,
    /// When to ping and when to give up.
    pub liveness: LivenessPolicy,
    /// How much random padding goes behind a message.
    pub padding: Padding,
    /// The wrapper of the first calls under each key; `None` sends calls as they are.
    pub init: Option<InitConnection>,
    /// Whether temporary keys are used. The permanent key then never carries calls (SEC-73).
    pub forward_secrecy: ForwardSecrecy,
}

impl ClientConfig {
    chappe_types::setters! {
        with_limits => limits: SessionLimits,
        with_liveness => liveness: LivenessPolicy,
        with_padding => padding: Padding,
        with_init => init: Option<InitConnection>,
        with_forward_secrecy => forward_secrecy: ForwardSecrecy,
    }
}

/// Whether calls travel under temporary keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ForwardSecrecy {
    /// Calls travel under the permanent key.
    #[default]
    Off,
    /// Calls travel under temporary keys bound to the permanent one.
    On,
}

/// The key that a session starts with, and what is known of its server.
#[derive(Clone, Debug)]
pub struct KeyMaterial {
    /// The permanent `auth_key`.
    pub auth_key: AuthKey,
    /// When the key was made, in Unix seconds of the server.
    pub created_at: i64,
    /// The known salts. Without any, the first message costs a further round trip.
    pub salts: Vec<TimedSalt>,
    /// What must be added to the local clock to get the server's time, in seconds.
    pub time_offset: i32,
    /// Whether the offset was measured in this run, by a handshake.
    pub clock: ClockTrust,
}

/// Where a time offset comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClockTrust {
    /// From an earlier run, or a guess: the first answer of the server replaces it.
    #[default]
    Guess,
    /// From a handshake of this run.
    Measured,
}

impl KeyMaterial {
    /// Takes the result of a handshake that has just finished.
    pub fn from_handshake(
        auth_key: impl Into<AuthKey>,
        first_salt: i64,
        time_offset: i32,
        server_seconds: i64,
    ) -> Self {
        Self {
            auth_key: auth_key.into(),
            created_at: server_seconds,
            salts: alloc::vec![TimedSalt {
                valid_since: server_seconds,
                valid_until: server_seconds.saturating_add(crate::salts::SALT_LIFETIME),
                salt: ServerSalt::from_raw(first_salt),
            }],
            time_offset,
            clock: ClockTrust::Measured,
        }
    }
}

/// A temporary key that a handshake has just made.
#[derive(Clone, Debug)]
pub struct TemporaryKey {
    /// The key.
    pub auth_key: AuthKey,
    /// Its first salt.
    pub first_salt: ServerSalt,
    /// When the server forgets it, in Unix seconds of the server.
    pub expires_at: i64,
}

/// `invokeWithLayer` and `initConnection`, serialized, to be put in front of a query.
///
/// <https://core.telegram.org/api/invoking#saving-client-info>
#[derive(Clone, PartialEq, Eq)]
pub struct InitConnection {
    prefix: Zeroizing<Box<[u8]>>,
}

/// The description of the application in `initConnection`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// The number of the application (`api_id`).
    pub api_id: i32,
    /// The model of the device.
    pub device_model: Vec<u8>,
    /// Name and version of the operating system.
    pub system_version: Vec<u8>,
    /// Version of the application.
    pub app_version: Vec<u8>,
    /// Language of the system, as in ISO 639-1.
    pub system_lang_code: Vec<u8>,
    /// Name of the language pack; empty for applications that are not official.
    pub lang_pack: Vec<u8>,
    /// Language of the application, as in ISO 639-1.
    pub lang_code: Vec<u8>,
}

impl ClientInfo {
    chappe_types::setters! {
        with_api_id => api_id: i32,
        with_device_model => device_model: Vec<u8>,
        with_system_version => system_version: Vec<u8>,
        with_app_version => app_version: Vec<u8>,
        with_system_lang_code => system_lang_code: Vec<u8>,
        with_lang_pack => lang_pack: Vec<u8>,
        with_lang_code => lang_code: Vec<u8>,
    }
}

const INVOKE_WITH_LAYER: u32 = 0xda9b_0d0d;
const INIT_CONNECTION: u32 = 0xc1cd_5ea9;

impl InitConnection {
    /// Builds the wrapper from its fields, without proxy and parameters.
    ///
    /// # Errors
    ///
    /// Fails if a text is 16 MiB or longer.
    pub fn new(layer: i32, info: &ClientInfo) -> Result<Self, EncodeError> {
        let mut prefix = Vec::new();
        prefix.put_u32(INVOKE_WITH_LAYER);
        layer.serialize(&mut prefix)?;
        prefix.put_u32(INIT_CONNECTION);
        0_u32.serialize(&mut prefix)?;
        info.api_id.serialize(&mut prefix)?;
        let texts = [
            &info.device_model,
            &info.system_version,
            &info.app_version,
            &info.system_lang_code,
            &info.lang_pack,
            &info.lang_code,
        ];
        for text in texts {
            text.serialize(&mut prefix)?;
        }
        Ok(Self::from_prefix(prefix))
    }

    /// Takes the bytes of a wrapper unchecked.
    pub fn from_prefix(prefix: impl Into<Box<[u8]>>) -> Self {
        Self { prefix: Zeroizing::new(prefix.into()) }
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.prefix
    }
}

impl core::fmt::Debug for InitConnection {
    /// Redacts the bytes, which hold the application's number: only their length is printed.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InitConnection").field("len", &self.prefix.len()).finish()
    }
}
