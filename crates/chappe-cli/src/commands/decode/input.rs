//! What the user gave: bytes in any notation, a link, or a secret.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use chappe::transport::ProxySecret;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// Longest input in bytes.
const MAX_LEN: u64 = 64 << 20;

/// The input of `decode`.
pub(super) enum Input {
    Link(String),
    Secret(ProxySecret),
    Bytes(Vec<u8>),
}

impl Input {
    /// Reads standard input, a file, or the argument itself.
    pub(super) fn read(argument: &str) -> Result<Self> {
        let path = Path::new(argument);
        let content = if argument == "-" {
            limited(io::stdin(), "standard input")?
        } else if path.is_file() {
            let name = path.display().to_string();
            limited(File::open(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?, &name)?
        } else {
            return Self::from_text(argument).ok_or_else(|| {
                Failure::input("neither a file nor hexadecimal digits, base64, a link or a secret")
            });
        };
        let text = str::from_utf8(&content).ok().and_then(Self::from_text);
        Ok(text.unwrap_or(Self::Bytes(content)))
    }

    /// Reads digits, a link or a secret.
    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains("://") || text.starts_with("tg:") || text.starts_with("t.me/") {
            return Some(Self::Link(text.to_owned()));
        }
        if let Some(bytes) = hexadecimal(text) {
            return Some(Self::Bytes(bytes));
        }
        // Base64 of a secret is told by its mark; other base64 is bytes.
        if let Ok(secret) = ProxySecret::parse(text) {
            return Some(Self::Secret(secret));
        }
        base64(text).map(Self::Bytes)
    }
}

fn limited(file: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = file.take(MAX_LEN + 1).read_to_end(&mut content);
    read.or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    if content.len() as u64 > MAX_LEN {
        return Err(Failure::input(format!("{name} is longer than 64 MiB")));
    }
    Ok(content)
}

/// Reads base64 of either alphabet, with and without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
    let decoded =
        [BASE64_NOPAD, BASE64URL_NOPAD].iter().find_map(|alphabet| alphabet.decode(text.as_bytes()).ok());
    decoded.filter(|bytes| !bytes.is_empty())
}

/// Reads hexadecimal digits as tools print them: with blanks, line ends, colons, commas and `0x`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let text = text.replace("0x", "").replace("\\x", "");
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, ':' | ',' | '-' | '_'))
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::{base64, hexadecimal};

    #[test]
    fn digits_are_read_in_every_notation() {
        for text in
            ["6b18f9c4", "6B 18 F9\nC4", "0x6b, 0x18, 0xf9, 0xc4", "6b:18:f9:c4", "\\x6b\\x18\\xf9\\xc4"]
        {
            assert_eq!(hexadecimal(text), Some(vec![0x6b, 0x18, 0xf9, 0xc4]), "{text}");
        }
        for text in ["axj5xA==", "axj5xA", "axj5\nxA"] {
            assert_eq!(base64(text), Some(vec![0x6b, 0x18, 0xf9, 0xc4]), "{text}");
        }
        for text in ["", "6b1", "6b 1g", "hello"] {
            assert_eq!(hexadecimal(text), None, "{text}");
        }
    }
}
