//! The dialects of TL, and how they are told apart.

use core::fmt;
use core::str::FromStr;

use crate::lexer::{Spanned, Token};

/// Who wrote a schema: this decides how ids are computed that the schema does not give, and what `#` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Telegram's API, the service schema, secret chats.
    ///
    /// Ids leave out `true` fields and read `bytes` as `string`. A parameter `flags:#` (or `flags2:#`) is a flags word even if
    /// no field depends on it yet, because a later layer adds such fields; its bits are ignored.
    #[default]
    Telegram,
    /// `td_api.tl` of TDLib. Ids are computed from the line as it is written, without parentheses and brackets.
    Tdlib,
    /// TON: `lite_api.tl`, `ton_api.tl`, `tonlib_api.tl`. Ids as in [`Tdlib`](Self::Tdlib).
    ///
    /// Bits of a flags word (`mode:#`) have a meaning of their own besides saying which fields are there, so the word is a
    /// field, too.
    Ton,
}

impl Dialect {
    /// Returns the dialect that declarations in the text are typical of: `int53 = Int53` of TDLib, `object ? = Object` and
    /// `function ? = Function` of TON.
    pub(crate) fn detect(tokens: &[Spanned<'_>]) -> Self {
        let declares = |line: &[&str]| {
            tokens.windows(line.len()).any(|window| {
                window.iter().zip(line).all(|(spanned, wanted)| match spanned.token {
                    Token::Word(word) => word == *wanted,
                    Token::Symbol(symbol) => wanted.chars().eq([symbol]),
                    _ => false,
                })
            })
        };
        if declares(&["int53", "=", "Int53"]) || declares(&["int53", "?", "=", "Int53"]) {
            Self::Tdlib
        } else if declares(&["object", "?", "=", "Object"]) || declares(&["function", "?", "=", "Function"]) {
            Self::Ton
        } else {
            Self::Telegram
        }
    }

    /// Returns whether `name:#` is a flags word although no field depends on it.
    pub(crate) fn is_flags_word(self, name: &str) -> bool {
        let number = name.strip_prefix("flags");
        self == Self::Telegram && number.is_some_and(|rest| rest.chars().all(|digit| digit.is_ascii_digit()))
    }
}

/// `telegram`, `tdlib` or `ton`.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Telegram => "telegram",
            Self::Tdlib => "tdlib",
            Self::Ton => "ton",
        })
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        match name {
            "telegram" => Ok(Self::Telegram),
            "tdlib" => Ok(Self::Tdlib),
            "ton" => Ok(Self::Ton),
            _ => Err(UnknownDialect { name: name.to_owned() }),
        }
    }
}

/// The name of a dialect is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect {
    /// The name.
    pub name: String,
}

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown dialect `{}`: expected telegram, tdlib or ton", self.name)
    }
}

impl core::error::Error for UnknownDialect {}
