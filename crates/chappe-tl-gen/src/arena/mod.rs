//! Values borrowed from an arena: plain structs and enums, decoded by tables.
//!
//! `types::X` are the constructors, bare; `enums::X` the types, boxed; `functions::X` the functions; `AnyCall` any
//! function, for servers. All are `Copy`. A field holds its enum by value if it is always there, and by reference if
//! it is conditional; a variant holds its struct by value if that is small, and by reference if not.

mod calls;
mod each;
mod enums;
mod field;
mod shape;
mod structs;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use chappe_tl_parser::{Definition, Name, Type};

use self::shape::Shapes;
use crate::code::Code;
use crate::{Error, Options, Output, Plan, RUNTIME_VERSION, names};

/// Lints that say something about the schema rather than about the code.
const ALLOWED: &str = "#![allow(missing_docs, clippy::all, clippy::pedantic, reason = \"names and shapes are those of the schema\")]";

const RUNTIME: &str = "use ::chappe_tl::table as tl;";

/// Generates all files.
///
/// # Errors
///
/// Fails if the schema has something that this style has no form for.
pub(crate) fn generate(plan: &Plan<'_>, options: &Options) -> Result<Output, Error> {
    let shapes = Shapes::new(plan)?;
    let schema = plan.schema();
    let mut output = Output::default();
    let constructors = by_namespace(schema.constructors().filter(|constructor| {
        matches!(constructor.result, Type::Boxed(_)) && shapes.has_struct(constructor)
    }));
    let functions = by_namespace(schema.functions());
    let mut types: BTreeMap<Option<&str>, Vec<&Name>> = BTreeMap::new();
    for ty in schema.types() {
        types.entry(ty.namespace.as_deref()).or_default().push(ty);
    }
    let names: Vec<&Name> = schema.types().collect();
    let mut files = Files { options, output: &mut output, types: &names };
    files.add("types", "Constructors", &constructors, |code, constructor| {
        structs::constructor(code, &shapes, constructor);
    });
    files.add("enums", "Types", &types, |code, ty| enums::write(code, &shapes, ty));
    let places: BTreeMap<u32, String> = functions
        .iter()
        .flat_map(|(namespace, functions)| {
            let module = calls::module(*namespace);
            let place = move |index| format!("&calls::{module}::TYPES[{index}]");
            functions.iter().enumerate().map(move |(index, function)| (function.id, place(index)))
        })
        .collect();
    files.add("functions", "Functions", &functions, |code, function| {
        structs::function(code, &shapes, function, &places[&function.id]);
    });
    files.add("tables", "Tables of the types", &types, |code, ty| tables::of_type(code, &shapes, ty));
    let has_calls = schema.functions().next().is_some();
    if has_calls {
        files.calls(&shapes, &functions);
    }
    if options.namespace_features {
        output.insert("each.rs", each::file(&shapes, options));
    }
    output.insert("names.rs", crate::owned::names_file(plan, options));
    output.insert("mod.rs", root(plan, options, has_calls));
    Ok(output)
}

fn root(plan: &Plan<'_>, options: &Options, has_calls: bool) -> String {
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
    code.blank();
    if has_calls {
        code.line(0, "mod calls;");
    }
    if options.namespace_features {
        code.line(0, "mod each;");
    }
    code.line(0, "pub mod enums;");
    code.line(0, "pub mod functions;");
    code.line(0, "mod names;");
    code.line(0, "mod tables;");
    code.line(0, "pub mod types;");
    code.blank();
    if has_calls {
        code.line(0, "pub use calls::AnyCall;");
    }
    code.line(0, "pub use names::name_for_id;");
    code.line(0, "pub use tables::TYPES;");
    if let Some(layer) = schema.layer() {
        code.blank();
        code.line(0, "/// The layer of the schema.");
        code.line(0, &format!("pub const LAYER: i32 = {layer};"));
    }
    code.blank();
    code.line(0, &format!("const _: () = ::chappe_tl::codegen::assert_version({RUNTIME_VERSION});"));
    code.into_string()
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

/// The files of the modules that have one for each namespace.
struct Files<'o> {
    options: &'o Options,
    output: &'o mut Output,
    /// The names of all types.
    types: &'o [&'o Name],
}

impl Files<'_> {
    fn add<T>(
        &mut self,
        kind: &str,
        title: &str,
        groups: &BTreeMap<Option<&str>, Vec<T>>,
        write: impl Fn(&mut Code, &T),
    ) {
        let modules: BTreeSet<&str> = groups.keys().copied().flatten().collect();
        let empty = Vec::new();
        self.file(kind, title, None, &modules, groups.get(&None).unwrap_or(&empty), &write);
        for (namespace, items) in groups {
            if let Some(namespace) = namespace {
                self.file(kind, title, Some(namespace), &BTreeSet::new(), items, &write);
            }
        }
    }

    fn file<T>(
        &mut self,
        kind: &str,
        title: &str,
        namespace: Option<&str>,
        modules: &BTreeSet<&str>,
        items: &[T],
        write: impl Fn(&mut Code, &T),
    ) {
        let mut body = Code::default();
        for item in items {
            body.blank();
            write(&mut body, item);
        }
        let mut code = Code::default();
        code.line(0, &self.options.header());
        code.blank();
        if let Some(namespace) = namespace {
            code.line(0, &format!("//! {title} of the namespace `{namespace}`."));
        } else {
            code.line(0, &format!("//! {title} without namespace; a module for each namespace."));
            code.line(0, ALLOWED);
            if kind != "enums" {
                code.line(0, UNSAFE);
            }
        }
        code.blank();
        if !items.is_empty() {
            imports(&mut code, if namespace.is_some() { "super::super" } else { "super" }, body.as_str());
        }
        for module in modules {
            if let Some(feature) = calls::feature(self.options, Some(module)).filter(|_| kind == "functions")
            {
                code.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
            }
            let visibility = if kind == "tables" { "pub(crate)" } else { "pub" };
            code.line(0, &format!("{visibility} mod {};", names::module_name(module)));
        }
        let path = match namespace {
            Some(namespace) => format!("{kind}/{}.rs", file_name(namespace)),
            None => format!("{kind}/mod.rs"),
        };
        if kind == "tables" && namespace.is_none() {
            body.blank();
            tables::all(&mut body, self.types);
        }
        self.output.insert(path, code.into_string() + body.as_str());
    }

    /// `AnyCall`, and the tables of the functions.
    fn calls(&mut self, shapes: &Shapes<'_, '_>, functions: &BTreeMap<Option<&str>, Vec<&Definition>>) {
        let mut tag = 0..;
        let numbered: calls::Functions<'_> = functions
            .iter()
            .map(|(namespace, functions)| (*namespace, (&mut tag).zip(functions.iter().copied()).collect()))
            .collect();
        for (namespace, functions) in &numbered {
            let mut body = Code::default();
            tables::of_functions(&mut body, shapes, functions);
            let mut code = Code::default();
            code.line(0, &self.options.header());
            code.blank();
            imports(&mut code, "super::super", body.as_str());
            let path = format!("calls/{}.rs", calls::module(*namespace).trim_start_matches("r#"));
            self.output.insert(path, code.into_string() + body.as_str());
        }
        let mut body = Code::default();
        body.blank();
        calls::write(&mut body, shapes, self.options, &numbered);
        body.blank();
        calls::table(&mut body, self.options, &numbered);
        let mut code = Code::default();
        code.line(0, &self.options.header());
        code.blank();
        code.line(0, "//! Calls as a server receives them, and the tables of the functions.");
        code.line(0, ALLOWED);
        code.line(0, UNSAFE);
        code.blank();
        imports(&mut code, "super", body.as_str());
        for namespace in numbered.keys() {
            if let Some(feature) = calls::feature(self.options, *namespace) {
                code.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
            }
            code.line(0, &format!("pub(crate) mod {};", calls::module(*namespace)));
        }
        self.output.insert("calls/mod.rs", code.into_string() + body.as_str());
    }
}

const UNSAFE: &str =
    "#![allow(unsafe_code, reason = \"a table is a promise: types and tables are printed from one plan\")]";

fn file_name(namespace: &str) -> String {
    names::module_name(namespace).trim_start_matches("r#").to_owned()
}

/// Imports the runtime and the modules that `body` refers to.
fn imports(code: &mut Code, above: &str, body: &str) {
    code.line(0, RUNTIME);
    let used: Vec<&str> = ["calls", "enums", "functions", "tables", "types"]
        .into_iter()
        .filter(|module| body.match_indices(&format!("{module}::")).any(|(at, _)| is_path_start(body, at)))
        .collect();
    if !used.is_empty() {
        code.blank();
        code.line(0, &format!("use {above}::{{{}}};", used.join(", ")));
    }
    code.blank();
}

/// Whether what begins at `at` is the first part of a path, not the middle of one or of a word.
fn is_path_start(body: &str, at: usize) -> bool {
    !body[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':'))
}
