//! `AnyCall`: any function of the schema, as a server receives it.

use chappe_tl_parser::Definition;

use super::imports;
use super::rust_type::struct_path;
use super::structs::{derives, serde_rename};
use crate::code::{Code, hex};
use crate::{GeneratorOptions, Plan, names};

/// The file `calls.rs`.
pub(super) fn file(plan: &Plan<'_>, options: &GeneratorOptions) -> String {
    let mut calls: Vec<Call<'_>> = plan.schema().functions().map(Call::new).collect();
    calls.sort_by(|one, other| one.variant.cmp(&other.variant));
    let mut body = Code::default();
    body.blank();
    declaration(&mut body, options, &calls);
    body.blank();
    inherent(&mut body, &calls);
    body.blank();
    serializable(&mut body, &calls);
    body.blank();
    deserializable(&mut body, &calls);
    for call in calls.iter().filter(|call| !call.is_generic) {
        body.blank();
        from(&mut body, call);
    }
    let mut code = Code::default();
    code.line(0, &options.header());
    code.blank();
    code.line(0, "//! Calls as a server receives them.");
    code.blank();
    code.line(0, "use ::chappe_tl::__private as tl;");
    imports(&mut code, "super", body.as_str());
    code.into_string() + body.as_str()
}

struct Call<'d> {
    function: &'d Definition,
    variant: String,
    path: String,
    is_generic: bool,
}

impl<'d> Call<'d> {
    fn new(function: &'d Definition) -> Self {
        let path = struct_path("functions", &function.name);
        let is_generic = !function.generics.is_empty();
        let arguments = vec!["AnyCall"; function.generics.len()].join(", ");
        let path = if is_generic { format!("{path}<{arguments}>") } else { path };
        Self { function, variant: names::flat_name(function), path, is_generic }
    }

    /// A reference to the function, given one to what the variant holds.
    const fn object(&self) -> &'static str {
        if self.is_generic { "&**call" } else { "call" }
    }
}

fn declaration(code: &mut Code, options: &GeneratorOptions, calls: &[Call<'_>]) {
    code.line(0, "/// Any function of the schema. Generic functions wrap another call.");
    derives(code, options.serde_feature.as_deref(), false);
    code.line(0, "#[non_exhaustive]");
    code.line(0, "pub enum AnyCall {");
    for call in calls {
        code.line(1, &format!("/// `{}`", call.function.line()));
        serde_rename(code, 1, options.serde_feature.as_deref(), &call.function.name.to_string());
        if call.is_generic {
            code.line(1, &format!("{}(tl::Box<{}>),", call.variant, call.path));
        } else {
            code.line(1, &format!("{}({}),", call.variant, call.path));
        }
    }
    code.line(0, "}");
}

fn inherent(code: &mut Code, calls: &[Call<'_>]) {
    code.line(0, "impl AnyCall {");
    code.line(1, "/// Returns the function's name, as in the schema.");
    code.line(1, "pub const fn name(&self) -> &'static str {");
    code.line(2, "match self {");
    for call in calls {
        code.line(3, &format!("Self::{}(_) => \"{}\",", call.variant, call.function.name));
    }
    code.line(2, "}");
    code.line(1, "}");
    code.line(0, "}");
}

fn serializable(code: &mut Code, calls: &[Call<'_>]) {
    code.impl_for(0, " tl::Serializable", "AnyCall");
    code.line(1, "fn serialized_len(&self) -> usize {");
    code.line(2, "match self {");
    for call in calls {
        code.line(3, &format!("Self::{}(call) => tl::len({}),", call.variant, call.object()));
    }
    code.line(2, "}");
    code.line(1, "}");
    code.blank();
    code.line(1, "fn serialize<S: tl::Sink + ?tl::Sized>(&self, out: &mut S) -> tl::Encoded {");
    code.line(2, "match self {");
    for call in calls {
        code.line(3, &format!("Self::{}(call) => tl::put({}, out),", call.variant, call.object()));
    }
    code.line(2, "}");
    code.line(1, "}");
    code.line(0, "}");
}

fn deserializable(code: &mut Code, calls: &[Call<'_>]) {
    code.impl_for(0, " tl::Deserializable", "AnyCall");
    code.line(1, "fn deserialize(buf: tl::Buffer<'_, '_>) -> tl::Result<Self> {");
    code.line(2, "match buf.peek_id()? {");
    for call in calls {
        code.line(3, &format!("{} => tl::read(buf).map(Self::{}),", hex(call.function.id), call.variant));
    }
    code.line(3, "id => Err(buf.unexpected_id(\"a function\", id).named(super::name_for_id)),");
    code.line(2, "}");
    code.line(1, "}");
    code.line(0, "}");
}

fn from(code: &mut Code, call: &Call<'_>) {
    code.impl_for(0, &format!(" tl::From<{}>", call.path), "AnyCall");
    code.list(1, "fn from(", "", &[format!("call: {}", call.path)], ") -> Self {");
    code.line(2, &format!("Self::{}(call)", call.variant));
    code.line(1, "}");
    code.line(0, "}");
}
