//! What a client says about itself in `invokeWithLayer` and `initConnection`.

/// The device and program of a client, from its last `initConnection`.
///
/// Clients write what they like. Texts are cut after [`MAX_TEXT`](Self::MAX_TEXT) bytes, because they are kept with the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The number of the program.
    pub api_id: i32,
    /// Such as `iPhone 15`.
    pub device_model: String,
    /// Such as `Android 14`.
    pub system_version: String,
    /// Version of the program.
    pub app_version: String,
    /// Language of the system.
    pub system_lang_code: String,
    /// Pack of texts that the program uses; official programs only.
    pub lang_pack: String,
    /// Language that the user chose.
    pub lang_code: String,
}

impl Device {
    /// Bytes that are kept of each text.
    pub const MAX_TEXT: usize = 128;

    /// Returns the beginning of a text, up to the end of a character.
    pub(super) fn shortened(text: String) -> String {
        if text.len() <= Self::MAX_TEXT {
            return text;
        }
        let end = (0..=Self::MAX_TEXT).rev().find(|at| text.is_char_boundary(*at));
        text[..end.unwrap_or(0)].to_owned()
    }
}

/// What a client said about itself under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// 0 before the first `invokeWithLayer`.
    pub(crate) layer: i32,
    /// Of the last `initConnection`.
    pub(crate) device: Option<Device>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(Device::shortened("short".into()), "short");
        assert_eq!(Device::shortened("a".repeat(1 << 20)).len(), Device::MAX_TEXT);
        // Each character has three bytes.
        assert_eq!(Device::shortened("\u{20ac}".repeat(100)).len(), 126);
    }
}
