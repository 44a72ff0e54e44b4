//! The root module, and the names of all ids.

use crate::code::{Code, hex};
use crate::output::LINTS;
use crate::{GeneratorOptions, Plan, RUNTIME_VERSION};

/// The file `mod.rs`.
pub(super) fn file(plan: &Plan<'_>, options: &GeneratorOptions, modules: &[&str]) -> String {
    let schema = plan.schema();
    let mut code = Code::default();
    code.line(0, &options.header());
    code.blank();
    let counts = (schema.constructors().count(), schema.types().count(), schema.functions().count());
    code.line(0, &format!("//! {} constructors of {} types, {} functions.", counts.0, counts.1, counts.2));
    if let Some(sha256) = &options.sha256 {
        code.line(0, "//!");
        code.line(0, &format!("//! SHA-256 of the schema: `{sha256}`."));
    }
    code.line(0, &format!("#![{LINTS}]"));
    code.blank();
    for module in modules {
        match *module {
            "calls" | "names" => code.line(0, &format!("mod {module};")),
            _ => code.line(0, &format!("pub mod {module};")),
        }
    }
    code.blank();
    if modules.contains(&"calls") {
        code.line(0, "pub use calls::AnyCall;");
    }
    code.line(0, "pub use names::name_for_id;");
    if let Some(layer) = schema.layer() {
        code.blank();
        code.line(0, "/// The layer of the schema.");
        code.line(0, &format!("pub const LAYER: i32 = {layer};"));
    }
    code.blank();
    code.line(0, &format!("const _: () = ::chappe_tl::__private::assert_version({RUNTIME_VERSION});"));
    code.into_string()
}

/// The file `names.rs`.
pub(super) fn names_file(plan: &Plan<'_>, options: &GeneratorOptions) -> String {
    let mut entries: Vec<(u32, String)> = plan
        .schema()
        .definitions()
        .iter()
        .map(|definition| (definition.id, definition.name.to_string()))
        .collect();
    entries.sort();
    let mut code = Code::default();
    code.line(0, &options.header());
    code.blank();
    code.line(0, "//! The names of all ids.");
    code.line(0, "#![allow(dead_code, reason = \"not every program looks names up\")]");
    code.blank();
    code.line(0, "/// Returns the constructor or function with that id, as named in the schema.");
    code.line(0, "pub fn name_for_id(id: u32) -> ::core::option::Option<&'static str> {");
    code.line(1, "::chappe_tl::__private::find_name(&NAMES, id)");
    code.line(0, "}");
    code.blank();
    let items: Vec<String> = entries.iter().map(|(id, name)| format!("({}, \"{name}\")", hex(*id))).collect();
    code.list(0, &format!("static NAMES: [(u32, &str); {}] = [", items.len()), "", &items, "];");
    code.into_string()
}
