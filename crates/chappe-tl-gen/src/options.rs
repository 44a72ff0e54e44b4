//! Options of the generator.

/// The shape of generated types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// Owned values: `String`, `Vec`, `Box`; reading and writing is code.
    #[default]
    Owned,
    /// Values borrowed from an arena, decoded and encoded by tables: for large schemas.
    ///
    /// The code promises that its tables describe its types, by `unsafe` blocks, because the decoder in `chappe-tl` acts on that.
    /// So it cannot stand in a crate with `#![forbid(unsafe_code)]`; it can be a crate of its own.
    Arena,
}

impl core::str::FromStr for Style {
    type Err = UnknownStyle;

    fn from_str(name: &str) -> Result<Self, UnknownStyle> {
        match name {
            "owned" => Ok(Self::Owned),
            "arena" => Ok(Self::Arena),
            _ => Err(UnknownStyle { name: name.to_owned() }),
        }
    }
}

/// The name of a style is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStyle {
    /// The name.
    pub name: String,
}

impl core::fmt::Display for UnknownStyle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "there is no style called `{}`", self.name)
    }
}

impl core::error::Error for UnknownStyle {}

/// Options of the generator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GeneratorOptions {
    /// The shape of the types.
    pub style: Style,
    /// The origin of the schema, for the header of every file.
    pub origin: String,
    /// The command that generates, for the header of every file.
    pub generator: String,
    /// SHA-256 of the schema file in hexadecimal, for the header of the root module.
    pub sha256: Option<String>,
    /// Where the pages of the schema are: `https://core.telegram.org`, which has `/constructor/NAME`, `/method/NAME` and
    /// `/type/NAME`. The documentation of each item links its page, if there is one.
    pub pages: Option<String>,
    /// The cargo feature of the generated crate behind which `serde` is derived; never, if `None`.
    pub serde_feature: Option<String>,
    /// Whether the functions of a namespace need a cargo feature of its name ([`Style::Arena`] only).
    pub namespace_features: bool,
    /// The cargo feature of the generated crate behind which macros name every type and function, for tests of all of them;
    /// never, if `None` ([`Style::Arena`] only).
    pub lists_feature: Option<String>,
    /// The constructors whose values are written by code: those that answers are full of. Tables write all others, which is
    /// slower, and costs the compiler nothing ([`Style::Arena`] only).
    pub natives: Vec<String>,
    /// The cargo feature of the generated crate behind which there is `AnyCall`, and functions are `Clone`, `Copy` and
    /// `PartialEq`; always, if `None` ([`Style::Arena`] only).
    pub server_feature: Option<String>,
}

impl GeneratorOptions {
    /// Returns the options for owned values without `serde`, from the schema `origin`.
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            style: Style::default(),
            origin: origin.into(),
            generator: "chappe-tl-gen".to_owned(),
            sha256: None,
            pages: None,
            serde_feature: None,
            namespace_features: false,
            lists_feature: None,
            natives: Vec::new(),
            server_feature: None,
        }
    }

    /// Sets the style of the types.
    #[must_use]
    pub const fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// Sets the command that generates.
    #[must_use]
    pub fn generator(mut self, generator: impl Into<String>) -> Self {
        self.generator = generator.into();
        self
    }

    /// Sets the SHA-256 of the schema file for the header.
    #[must_use]
    pub fn sha256(mut self, hex: impl Into<String>) -> Self {
        self.sha256 = Some(hex.into());
        self
    }

    /// Links the page of each item, below the address `pages`.
    #[must_use]
    pub fn pages(mut self, pages: impl Into<String>) -> Self {
        self.pages = Some(pages.into());
        self
    }

    /// Derives `serde`'s traits if the generated crate has the cargo feature `feature`.
    #[must_use]
    pub fn serde_feature(mut self, feature: impl Into<String>) -> Self {
        self.serde_feature = Some(feature.into());
        self
    }

    /// Puts the functions of each namespace behind a cargo feature with the name of the namespace ([`Style::Arena`]
    /// only).
    #[must_use]
    pub const fn namespace_features(mut self) -> Self {
        self.namespace_features = true;
        self
    }

    /// Lists every type and function in macros if the generated crate has the cargo feature `feature` ([`Style::Arena`]
    /// only).
    #[must_use]
    pub fn lists_feature(mut self, feature: impl Into<String>) -> Self {
        self.lists_feature = Some(feature.into());
        self
    }

    /// Writes the values of these constructors by code instead of tables; those that the schema has not are left out
    /// ([`Style::Arena`] only).
    #[must_use]
    pub fn natives<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.natives.extend(names.into_iter().map(Into::into));
        self
    }

    /// Leaves what servers do with functions to those who enable the cargo feature `feature` of the generated crate: to decode
    /// any of them (`AnyCall`), to copy and to compare them ([`Style::Arena`] only).
    #[must_use]
    pub fn server_feature(mut self, feature: impl Into<String>) -> Self {
        self.server_feature = Some(feature.into());
        self
    }

    /// The first line of a generated file.
    pub(crate) fn header(&self) -> String {
        format!("// @generated by {} from {}. Do not edit.", self.generator, self.origin)
    }
}
