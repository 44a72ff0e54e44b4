//! Structs: constructors, and the part that functions have in common with them.

use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, Dialect, ParameterKind};

use super::rust_type::Field;
use crate::code::{Code, hex};
use crate::{GeneratorOptions, Plan, docs, names};

/// A constructor: struct, id, codec of the bare form.
pub(super) fn constructor(
    code: &mut Code,
    plan: &Plan<'_>,
    options: &GeneratorOptions,
    constructor: &Definition,
) {
    Struct::new(plan, options, constructor).write(code, plan.least_of_constructor(constructor));
}

/// A struct with everything that is written about it.
pub(super) struct Struct<'d> {
    plan: &'d Plan<'d>,
    definition: &'d Definition,
    serde_feature: Option<&'d str>,
    rust_name: String,
    fields: Vec<Field<'d>>,
    /// Whether the id stands in front: functions are boxed, constructors bare.
    is_boxed: bool,
    /// Whether all fields can be empty.
    has_empty: bool,
    /// Whether a flags word is a field, too, for the bits that no other field depends on.
    words_are_fields: bool,
}

impl<'d> Struct<'d> {
    pub(super) fn new(plan: &'d Plan<'d>, options: &'d GeneratorOptions, definition: &'d Definition) -> Self {
        Self {
            plan,
            definition,
            serde_feature: options.serde_feature.as_deref(),
            rust_name: names::type_name(&definition.name.ident),
            fields: definition
                .params
                .iter()
                .filter_map(|param| Field::new(plan, definition, param))
                .collect(),
            is_boxed: definition.category == chappe_tl_parser::Category::Functions,
            has_empty: plan.has_empty(definition),
            words_are_fields: plan.schema().dialect() == Dialect::Ton,
        }
    }

    pub(super) fn write(&self, code: &mut Code, least_len: usize) {
        self.declaration(code);
        code.blank();
        self.identifiable(code);
        code.blank();
        self.serializable(code);
        code.blank();
        self.deserializable(code, least_len);
    }

    /// `<X: tl::Bound>` and the name with its parameters.
    pub(super) fn generics(&self, bound: &str) -> (String, String) {
        let generics: Vec<String> =
            self.definition.generics.iter().map(|name| names::generic_name(name)).collect();
        if generics.is_empty() {
            return (String::new(), self.rust_name.clone());
        }
        let bounds: Vec<String> = match bound {
            "" => generics.clone(),
            bound => generics.iter().map(|name| format!("{name}: tl::{bound}")).collect(),
        };
        (format!("<{}>", bounds.join(", ")), format!("{}<{}>", self.rust_name, generics.join(", ")))
    }

    fn declaration(&self, code: &mut Code) {
        docs::definition(code, self.plan, self.definition);
        derives(code, self.serde_feature, self.has_empty);
        let (_, name) = self.generics("");
        if self.fields.is_empty() {
            return code.line(0, &format!("pub struct {name} {{}}"));
        }
        code.line(0, &format!("pub struct {name} {{"));
        let mut fields = self.fields.iter();
        for param in &self.definition.params {
            let (rust_name, rust_type) = match &param.kind {
                ParameterKind::Flags if self.words_are_fields => {
                    code.line(1, &format!("/// `{param}`, the bits that no field depends on."));
                    (names::field_name(&param.name), "u32")
                }
                ParameterKind::Flags => continue,
                ParameterKind::Value { .. } => {
                    let Some(field) = fields.next() else { continue };
                    code.line(1, &format!("/// `{param}`"));
                    (field.rust_name.clone(), &*field.rust_type)
                }
            };
            if rust_name.trim_start_matches("r#") != param.name {
                serde_rename(code, 1, self.serde_feature, &param.name);
            }
            code.line(1, &format!("pub {rust_name}: {rust_type},"));
        }
        code.line(0, "}");
    }

    fn identifiable(&self, code: &mut Code) {
        let (generics, name) = self.generics("");
        code.impl_for(0, &format!("{generics} tl::Identifiable"), &name);
        code.line(1, &format!("const CONSTRUCTOR_ID: u32 = {};", hex(self.definition.id)));
        code.line(0, "}");
    }

    fn serializable(&self, code: &mut Code) {
        let (generics, name) = self.generics("Serializable");
        code.impl_for(0, &format!("{generics} tl::Serializable"), &name);
        code.line(1, "fn serialized_len(&self) -> usize {");
        code.sum(2, &self.len_terms());
        code.line(1, "}");
        code.blank();
        let is_empty = self.definition.params.is_empty() && !self.is_boxed;
        let out = if is_empty { "_out" } else { "out" };
        code.line(
            1,
            &format!("fn serialize<S: tl::Sink + ?tl::Sized>(&self, {out}: &mut S) -> tl::Encoded {{"),
        );
        if self.is_boxed {
            code.line(2, &format!("tl::unit({}, out)?;", hex(self.definition.id)));
        }
        self.put_params(code);
        code.line(2, "Ok(())");
        code.line(1, "}");
        code.line(0, "}");
    }

    fn len_terms(&self) -> Vec<String> {
        let words = self.definition.params.len() - self.fields.len() + usize::from(self.is_boxed);
        let values = self.fields.iter().filter(|field| !field.is_flag());
        let mut terms: Vec<String> = values.map(|field| field.call("len", "")).collect();
        if words > 0 || terms.is_empty() {
            terms.insert(0, (4 * words).to_string());
        }
        terms
    }

    fn put_params(&self, code: &mut Code) {
        for param in &self.definition.params {
            match &param.kind {
                ParameterKind::Flags => self.put_flags(code, &param.name),
                ParameterKind::Value { .. } => {
                    let field = self.fields.iter().find(|field| field.name == param.name);
                    if let Some(field) = field.filter(|field| !field.is_flag()) {
                        code.line(2, &format!("{}?;", field.call("put", ", out")));
                    }
                }
            }
        }
    }

    /// Computes and writes a flags word. Fields that share a bit must agree (SEC-117).
    fn put_flags(&self, code: &mut Code, word: &str) {
        let mut bits: BTreeMap<u8, Vec<&Field<'_>>> = BTreeMap::new();
        for field in &self.fields {
            if let Some((_, bit)) = field.condition.filter(|(of, _)| *of == word) {
                bits.entry(bit).or_default().push(field);
            }
        }
        for (bit, fields) in &bits {
            if fields.len() > 1 {
                let items: Vec<String> = fields.iter().map(|field| field.is_set()).collect();
                code.list(2, "let group = [", "", &items, "];");
                code.line(
                    2,
                    &format!("tl::flag_group(&\"{} {word}\", {bit}, &group)?;", self.definition.name),
                );
            }
        }
        let items: Vec<String> =
            bits.iter().map(|(bit, fields)| format!("({bit}, {})", fields[0].is_set())).collect();
        code.list(2, "let flags = [", "", &items, "];");
        if self.words_are_fields {
            let (word, known) = (names::field_name(word), hex(self.known_bits(word)));
            return code.line(2, &format!("tl::put_flags_among(self.{word} & !{known}, &flags, out);"));
        }
        code.line(2, "tl::put_flags(&flags, out);");
    }

    fn deserializable(&self, code: &mut Code, least_len: usize) {
        let (generics, name) = self.generics("Deserializable");
        code.impl_for(0, &format!("{generics} tl::Deserializable"), &name);
        if least_len != 4 && !self.is_boxed {
            code.line(1, &format!("const LEAST_LEN: usize = {least_len};"));
            code.blank();
        }
        let is_empty = self.definition.params.is_empty();
        let buf = if is_empty && !self.is_boxed { "_buf" } else { "buf" };
        code.line(1, &format!("fn deserialize({buf}: tl::Buffer<'_, '_>) -> tl::Result<Self> {{"));
        if self.is_boxed {
            code.line(
                2,
                &format!("buf.expect_id(\"{}\", {})?;", self.definition.name, hex(self.definition.id)),
            );
        }
        if is_empty {
            code.line(2, "Ok(Self {})");
        } else {
            self.read_params(code);
        }
        code.line(1, "}");
        code.line(0, "}");
    }

    /// Reads the parameters in wire order: everything up to the last flags word into variables, the rest in place.
    fn read_params(&self, code: &mut Code) {
        let reader = self.reader();
        code.line(2, &format!("let mut {reader} = buf.object(\"{}\")?;", self.definition.name));
        let params = &self.definition.params;
        let last_word = params.iter().rposition(|param| param.kind == ParameterKind::Flags);
        let mut items = Vec::new();
        for (index, param) in params.iter().enumerate() {
            let Some(field) = self.fields.iter().find(|field| field.name == param.name) else {
                let known = hex(self.known_bits(&param.name));
                if self.words_are_fields {
                    let word = names::field_name(&param.name);
                    code.line(2, &format!("let {word} = {reader}.flags(\"{}\", u32::MAX)?;", param.name));
                    items.push(format!("{word}: {word} & !{known}"));
                    continue;
                }
                let read = format!("{reader}.flags(\"{}\", {known})?;", param.name);
                match self.known_bits(&param.name) {
                    0 => code.line(2, &read),
                    _ => code.line(2, &format!("let {} = {read}", names::field_name(&param.name))),
                }
                continue;
            };
            let value = read_field(field, &reader);
            if last_word.is_some_and(|word| index < word) {
                code.line(2, &format!("let {} = {value};", field.rust_name));
                items.push(field.rust_name.clone());
            } else {
                items.push(format!("{}: {value}", field.rust_name));
            }
        }
        code.list(2, "Ok(Self {", " ", &items, "})");
    }

    /// A name for the reader that is not the name of a variable.
    fn reader(&self) -> String {
        let mut reader = "object".to_owned();
        while self.definition.params.iter().any(|param| names::field_name(&param.name) == reader) {
            reader.push('_');
        }
        reader
    }

    fn known_bits(&self, word: &str) -> u32 {
        let bits = self.fields.iter().filter_map(|field| field.condition.filter(|(of, _)| *of == word));
        bits.fold(0, |known, (_, bit)| known | 1 << bit)
    }
}

fn read_field(field: &Field<'_>, reader: &str) -> String {
    match field.condition {
        None => format!("{reader}.field(\"{}\")?", field.name),
        Some((word, bit)) => {
            let word = names::field_name(word);
            if field.is_flag() {
                format!("tl::is_set({word}, {bit})")
            } else {
                format!("{reader}.optional(\"{}\", {word}, {bit})?", field.name)
            }
        }
    }
}

/// The traits that all values have.
pub(super) fn derives(code: &mut Code, serde_feature: Option<&str>, has_empty: bool) {
    let default = if has_empty { ", Default" } else { "" };
    code.line(0, &format!("#[derive(Clone, Debug{default}, PartialEq)]"));
    if let Some(feature) = serde_feature {
        code.line(
            0,
            &format!(
                "#[cfg_attr(feature = \"{feature}\", derive(::serde::Serialize, ::serde::Deserialize))]"
            ),
        );
    }
}

/// The name in TL, where the one in Rust differs.
pub(super) fn serde_rename(code: &mut Code, depth: usize, serde_feature: Option<&str>, name: &str) {
    if let Some(feature) = serde_feature {
        code.line(depth, &format!("#[cfg_attr(feature = \"{feature}\", serde(rename = \"{name}\"))]"));
    }
}
