//! Owned values: `String`, `Vec`, `Box`; reading and writing is code.
//!
//! `types::X` are the constructors, bare; `enums::X` the types, boxed; `functions::X` the functions; `AnyCall` any
//! function, for servers.

mod calls;
mod enums;
mod functions;
mod root;
mod rust_type;
mod structs;

use std::collections::BTreeMap;

use chappe_tl_parser::Definition;

use crate::code::Code;
use crate::modules::{Module, Modules};
use crate::{GeneratorOptions, Output, Plan, names};

/// Generates all files.
pub(crate) fn generate(plan: &Plan<'_>, options: &GeneratorOptions) -> Output {
    let mut output = Output::default();
    let mut kinds = Vec::new();
    let schema = plan.schema();
    let constructors = by_namespace(schema.constructors());
    if !constructors.is_empty() {
        kinds.extend(["enums", "types"]);
        let write = |code: &mut Code, constructor: &&Definition| {
            structs::constructor(code, plan, options, constructor);
        };
        Kind { name: "types", title: "Constructors" }.write(options, &constructors, write, &mut output);
        let mut types: BTreeMap<Option<&str>, Vec<_>> = BTreeMap::new();
        for ty in schema.types() {
            types.entry(ty.namespace.as_deref()).or_default().push(ty);
        }
        let write = |code: &mut Code, ty: &&chappe_tl_parser::Name| enums::write(code, plan, options, ty);
        Kind { name: "enums", title: "Types" }.write(options, &types, write, &mut output);
    }
    let functions = by_namespace(schema.functions());
    if !functions.is_empty() {
        kinds.extend(["calls", "functions"]);
        let write = |code: &mut Code, function: &&Definition| functions::write(code, plan, options, function);
        Kind { name: "functions", title: "Functions" }.write(options, &functions, write, &mut output);
        output.insert("calls.rs", calls::file(plan, options));
    }
    kinds.push("names");
    output.insert("names.rs", root::names_file(plan, options));
    kinds.sort_unstable();
    output.insert("mod.rs", root::file(plan, options, &kinds));
    output
}

/// Groups definitions by namespace, sorted by name.
fn by_namespace<'s>(
    definitions: impl Iterator<Item = &'s Definition>,
) -> BTreeMap<Option<&'s str>, Vec<&'s Definition>> {
    let mut groups: BTreeMap<Option<&str>, Vec<&Definition>> = BTreeMap::new();
    for definition in definitions {
        groups.entry(definition.name.namespace.as_deref()).or_default().push(definition);
    }
    for group in groups.values_mut() {
        group.sort_by_key(|definition| names::type_name(&definition.name.ident));
    }
    groups
}

/// One of the three modules with a file for each namespace.
struct Kind {
    name: &'static str,
    title: &'static str,
}

impl Kind {
    fn write<T>(
        &self,
        options: &GeneratorOptions,
        groups: &BTreeMap<Option<&str>, Vec<T>>,
        write: impl Fn(&mut Code, &T),
        output: &mut Output,
    ) {
        for module in Modules::new(groups.keys().copied().flatten()).all() {
            let items = groups.get(&module.namespace()).map_or(&[][..], Vec::as_slice);
            output.insert(module.file(self.name), self.file(options, &module, items, &write));
        }
    }

    fn file<T>(
        &self,
        options: &GeneratorOptions,
        module: &Module<'_, '_>,
        items: &[T],
        write: impl Fn(&mut Code, &T),
    ) -> String {
        let mut body = Code::default();
        for item in items {
            body.blank();
            write(&mut body, item);
        }
        let mut code = Code::default();
        code.line(0, &options.header());
        code.blank();
        if let Some(namespace) = module.namespace() {
            code.line(0, &format!("//! {} of the namespace `{namespace}`.", self.title));
        } else {
            code.line(0, &format!("//! {} without namespace; a module for each namespace.", self.title));
        }
        code.blank();
        if !items.is_empty() {
            code.line(0, "use ::chappe_tl::__private as tl;");
            imports(&mut code, &module.root(), body.as_str());
        }
        if !module.inside.is_empty() {
            if !items.is_empty() {
                code.blank();
            }
            for inside in module.inside {
                code.line(0, &format!("pub mod {};", names::module_name(inside)));
            }
        }
        code.into_string() + body.as_str()
    }
}

/// Imports what `body` refers to in the root: modules, and the function that names ids.
fn imports(code: &mut Code, above: &str, body: &str) {
    let is_used = |item: &str| body.match_indices(item).any(|(at, _)| is_path_start(body, at));
    let items = [
        ("enums", "enums::"),
        ("functions", "functions::"),
        ("name_for_id", "name_for_id)"),
        ("types", "types::"),
    ];
    let used: Vec<&str> = items.into_iter().filter(|(_, item)| is_used(item)).map(|(item, _)| item).collect();
    match used.as_slice() {
        [] => {}
        [one] => {
            code.blank();
            code.line(0, &format!("use {above}::{one};"));
        }
        several => {
            code.blank();
            code.line(0, &format!("use {above}::{{{}}};", several.join(", ")));
        }
    }
}

/// Whether what begins at `at` is the first part of a path, not the middle of one or of a word.
fn is_path_start(body: &str, at: usize) -> bool {
    !body[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':'))
}
