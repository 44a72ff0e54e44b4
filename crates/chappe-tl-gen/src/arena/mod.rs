//! Values borrowed from an arena: plain structs and enums, decoded by tables.
//!
//! `types::X` are the constructors, bare; `enums::X` the types, boxed, of which those with one constructor are a `One` of its
//! struct; `functions::X` the functions; `AnyCall` any function, for servers. All are `Copy`. A field holds its enum by value
//! if it is always there, and by reference if it is conditional; a variant holds its struct by value if that is small, and
//! by reference if not. What the decoder knows of them is in `layout.rs` and `tables/`.

mod calls;
mod each;
mod enums;
mod field;
mod kind;
mod layout;
mod native;
mod shape;
mod structs;
mod tables;

use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, Type};

use self::native::Natives;
use self::shape::Shapes;
use self::tables::{Places, Types};
use crate::code::Code;
use crate::modules::{Module, Modules};
use crate::{GenerateError, GeneratorOptions, Output, Plan, RUNTIME_VERSION, names};

/// Lints that say something about the schema rather than about the code.
const ALLOWED: &str = "#![allow(missing_docs, dead_code, clippy::all, clippy::pedantic, reason = \"names and shapes are those of the schema\")]";

const RUNTIME: &str = "use ::chappe_tl::__private as tl;";

/// Generates all files.
///
/// # Errors
///
/// Fails if this style does not support a definition of the schema.
pub(crate) fn generate(plan: &Plan<'_>, options: &GeneratorOptions) -> Result<Output, GenerateError> {
    let shapes = Shapes::new(plan)?;
    let schema = plan.schema();
    let mut output = Output::default();
    let constructors = by_namespace(schema.constructors().filter(|constructor| {
        matches!(constructor.result, Type::Boxed(_)) && shapes.has_struct(constructor)
    }));
    let functions = by_namespace(schema.functions());
    let mut types = Types::new();
    for ty in schema.types() {
        types.entry(ty.namespace.as_deref()).or_default().push(ty);
    }
    let places = Places::new(&shapes, &types, &functions);
    let mut files = Files { options, output: &mut output };
    let ends = |code: &mut Code, constructors: &[&Definition]| {
        structs::constructors(code, &shapes, &places, constructors);
    };
    let write = |code: &mut Code, constructor: &&Definition| {
        structs::constructor(code, &shapes, &places, constructor);
    };
    files.add("types", "Constructors", &constructors, write, ends);
    files.add("enums", "Types", &types, |code, ty| enums::write(code, &shapes, ty), |_, _| {});
    let ends = |code: &mut Code, functions: &[&Definition]| {
        structs::functions(code, &shapes, &places, functions);
    };
    let write = |code: &mut Code, function: &&Definition| structs::function(code, &shapes, function);
    files.add("functions", "Functions", &functions, write, ends);
    let natives = Natives::new(&shapes, options);
    files.tables(&shapes, &places, &types, &natives);
    if !natives.is_empty() {
        files.native(&shapes, &places, &natives);
    }
    let has_calls = schema.functions().next().is_some();
    files.layout(&shapes, &places, &types, &functions);
    if has_calls {
        files.any_call(&shapes, &places, &functions);
    }
    if options.lists_feature.is_some() {
        output.insert("each.rs", each::file(&shapes, options));
    }
    output.insert("defaults.rs", defaults(&shapes, &constructors, &functions, options));
    if options.serde_feature.is_some() {
        output.insert("serde.rs", serde(&shapes, &types, &constructors, &functions, options));
    }
    if has_calls {
        output.insert("values.rs", values(&shapes, &functions, options));
    }
    output.insert("names.rs", layout::names_file(&options.header()));
    output.insert("mod.rs", root(plan, options, has_calls, !natives.is_empty()));
    Ok(output)
}

fn root(plan: &Plan<'_>, options: &GeneratorOptions, has_calls: bool, has_natives: bool) -> String {
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
    let server = |code: &mut Code| {
        if let Some(feature) = &options.server_feature {
            code.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
        }
    };
    if has_calls {
        server(&mut code);
        code.line(0, "mod any_call;");
    }
    code.line(0, "mod defaults;");
    if let Some(feature) = &options.lists_feature {
        code.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
        code.line(0, "mod each;");
    }
    code.line(0, "pub mod enums;");
    code.line(0, "pub mod functions;");
    code.line(0, "mod layout;");
    code.line(0, "mod names;");
    if has_natives {
        code.line(0, &format!("#[cfg({})]", native::condition(options)));
        code.line(0, "mod native;");
    }
    if let Some(feature) = &options.serde_feature {
        code.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
        code.line(0, "mod serde;");
    }
    code.line(0, "mod tables;");
    code.line(0, "pub mod types;");
    if has_calls {
        server(&mut code);
        code.line(0, "mod values;");
    }
    code.blank();
    // A program that includes the files as a module of its own need not use all of them.
    if has_calls {
        server(&mut code);
        code.line(0, "#[allow(unused_imports)]");
        code.line(0, "pub use any_call::AnyCall;");
    }
    for path in ["::chappe_tl::table::One", "names::name_for_id", "tables::TYPES"] {
        code.line(0, "#[allow(unused_imports)]");
        code.line(0, &format!("pub use {path};"));
    }
    if let Some(layer) = schema.layer() {
        code.blank();
        code.line(0, "/// The layer of the schema.");
        code.line(0, "#[allow(dead_code)]");
        code.line(0, &format!("pub const LAYER: i32 = {layer};"));
    }
    code.blank();
    code.line(0, &format!("const _: () = ::chappe_tl::__private::assert_version({RUNTIME_VERSION});"));
    code.into_string()
}

/// The file `serde.rs`: a list of all types, which the compiler reads only if the feature is on.
fn serde(
    shapes: &Shapes<'_, '_>,
    types: &Types<'_>,
    constructors: &BTreeMap<Option<&str>, Vec<&Definition>>,
    functions: &BTreeMap<Option<&str>, Vec<&Definition>>,
    options: &GeneratorOptions,
) -> String {
    let mut body = Code::default();
    let nominal = types.values().flatten().filter(|ty| !enums::is_alias(shapes, ty));
    list(&mut body, "written_by_serde", nominal.map(|ty| shapes.enum_path(ty, "'_")).collect());
    let structs = constructors.values().flatten();
    let structs = structs.map(|constructor| shapes.struct_path("types", constructor, "'_")).collect();
    list(&mut body, "written_by_serde", structs);
    list_of_functions(&mut body, "written_by_serde", shapes, functions, options, |_| true);
    if !functions.is_empty() {
        list(&mut body, "written_by_serde", vec!["super::AnyCall<'_>".to_owned()]);
    }
    file_of_lists("All types are written by serde.", &body, options)
}

/// The file `values.rs`: a list of all functions, which the compiler reads only if the feature is on.
fn values(
    shapes: &Shapes<'_, '_>,
    functions: &BTreeMap<Option<&str>, Vec<&Definition>>,
    options: &GeneratorOptions,
) -> String {
    let mut body = Code::default();
    list_of_functions(&mut body, "values", shapes, functions, options, |_| true);
    for (namespace, functions) in functions {
        let plain: Vec<_> = functions.iter().filter(|function| function.generics.is_empty()).collect();
        if plain.is_empty() {
            continue;
        }
        let path = |function: &Definition, life| shapes.struct_path("functions", function, life);
        let gate =
            calls::feature(options, *namespace).map(|feature| format!("#[cfg(feature = \"{feature}\")]"));
        if let Some(gate) = &gate {
            body.line(0, gate);
        }
        body.line(0, &format!("tl::received! {{ {}", structs::PROMISE));
        for function in &plain {
            body.line(1, &format!("{}, {};", path(function, "'_"), path(function, "'a")));
        }
        body.line(0, "}");
        let whole = plain.iter().filter(|function| !shapes.borrows(function));
        let whole: Vec<_> = whole.map(|function| path(function, "'_")).collect();
        gate.iter().filter(|_| !whole.is_empty()).for_each(|gate| body.line(0, gate));
        list(&mut body, "received_whole", whole);
    }
    let title = "Functions can be decoded, copied and compared.";
    file_of_lists(title, &body, options).replacen("#![allow", &format!("{UNSAFE}\n#![allow"), 1)
}

/// The file `defaults.rs`: a list of all structs whose fields can be empty.
fn defaults(
    shapes: &Shapes<'_, '_>,
    constructors: &BTreeMap<Option<&str>, Vec<&Definition>>,
    functions: &BTreeMap<Option<&str>, Vec<&Definition>>,
    options: &GeneratorOptions,
) -> String {
    let mut body = Code::default();
    let structs = constructors.values().flatten().filter(|constructor| shapes.has_empty(constructor));
    let structs = structs.map(|constructor| shapes.struct_path("types", constructor, "'_")).collect();
    list(&mut body, "defaults", structs);
    list_of_functions(&mut body, "defaults", shapes, functions, options, |function| {
        shapes.has_empty(function)
    });
    file_of_lists("Structs whose fields can all be empty.", &body, options)
}

/// Writes `tl::of! { .. }` with all functions that are not generic.
fn list_of_functions(
    body: &mut Code,
    of: &str,
    shapes: &Shapes<'_, '_>,
    functions: &BTreeMap<Option<&str>, Vec<&Definition>>,
    options: &GeneratorOptions,
    is_listed: impl Fn(&Definition) -> bool,
) {
    for (namespace, functions) in functions {
        let plain = functions.iter().filter(|function| function.generics.is_empty() && is_listed(function));
        let paths: Vec<String> =
            plain.map(|function| shapes.struct_path("functions", function, "'_")).collect();
        if let Some(feature) = calls::feature(options, *namespace).filter(|_| !paths.is_empty()) {
            body.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
        }
        list(body, of, paths);
    }
}

/// Writes `tl::of! { .. }` with these paths, if there are any.
fn list(body: &mut Code, of: &str, paths: Vec<String>) {
    if paths.is_empty() {
        return;
    }
    body.line(0, &format!("tl::{of}! {{"));
    for path in paths {
        body.line(1, &format!("{path},"));
    }
    body.line(0, "}");
}

fn file_of_lists(title: &str, body: &Code, options: &GeneratorOptions) -> String {
    let mut code = Code::default();
    code.line(0, &options.header());
    code.blank();
    code.line(0, &format!("//! {title}"));
    code.line(0, "#![allow(unused_imports, reason = \"the list is empty if no namespace is on\")]");
    code.blank();
    imports(&mut code, "super", body.as_str());
    code.into_string() + body.as_str()
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
    options: &'o GeneratorOptions,
    output: &'o mut Output,
}

impl Files<'_> {
    fn add<T>(
        &mut self,
        kind: &str,
        title: &str,
        groups: &BTreeMap<Option<&str>, Vec<T>>,
        write: impl Fn(&mut Code, &T),
        end: impl Fn(&mut Code, &[T]),
    ) {
        let write = |code: &mut Code, items: &[T]| {
            for item in items {
                code.blank();
                write(code, item);
            }
            end(code, items);
        };
        for module in Modules::new(groups.keys().copied().flatten()).all() {
            let items = groups.get(&module.namespace()).map_or(&[][..], Vec::as_slice);
            self.file(kind, title, &module, items, write);
        }
    }

    fn file<T>(
        &mut self,
        kind: &str,
        title: &str,
        module: &Module<'_, '_>,
        items: &[T],
        write: impl Fn(&mut Code, &[T]),
    ) {
        let mut body = Code::default();
        write(&mut body, items);
        let mut code = Code::default();
        code.line(0, &self.options.header());
        code.blank();
        if let Some(namespace) = module.namespace() {
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
            imports(&mut code, &module.root(), body.as_str());
        }
        for inside in module.inside {
            let feature = calls::feature(self.options, Some(inside));
            if let Some(feature) = feature.filter(|_| kind == "functions" && module.namespace().is_none()) {
                code.line(0, &format!("#[cfg(feature = \"{feature}\")]"));
            }
            code.line(0, &format!("pub mod {};", names::module_name(inside)));
        }
        self.output.insert(module.file(kind), code.into_string() + body.as_str());
    }

    /// The tables of the types.
    fn tables(&mut self, shapes: &Shapes<'_, '_>, places: &Places, types: &Types<'_>, natives: &Natives) {
        for module in Modules::new(types.keys().copied().flatten()).all() {
            let mut body = Code::default();
            let items = types.get(&module.namespace()).map_or(&[][..], Vec::as_slice);
            tables::of_types(&mut body, shapes, places, items);
            let mut code = Code::default();
            code.line(0, &self.options.header());
            code.blank();
            if let Some(namespace) = module.namespace() {
                code.line(0, &format!("//! Tables of the types of the namespace `{namespace}`."));
            } else {
                if !items.is_empty() {
                    body.blank();
                }
                tables::all(&mut body, shapes, places, types, natives, self.options);
                code.line(0, "//! Tables of the types without namespace, and of all types together.");
                code.line(0, ALLOWED);
                code.line(0, UNSAFE);
            }
            code.blank();
            if !body.as_str().is_empty() {
                imports(&mut code, &module.root(), body.as_str());
            }
            for inside in module.inside {
                code.line(0, &format!("mod {};", names::module_name(inside)));
            }
            if module.namespace().is_none() {
                code.blank();
            }
            self.output.insert(module.file("tables"), code.into_string() + body.as_str());
        }
    }

    /// Code that writes what answers are full of.
    fn native(&mut self, shapes: &Shapes<'_, '_>, places: &Places, natives: &Natives) {
        let mut body = Code::default();
        natives.write(&mut body, shapes, places);
        let mut code = Code::default();
        code.line(0, &self.options.header());
        code.blank();
        code.line(0, "//! Code that writes what answers are full of; tables write the rest.");
        code.line(0, ALLOWED);
        code.line(0, UNSAFE);
        code.blank();
        code.line(0, "use tl::Sink as _;");
        imports(&mut code, "super", body.as_str());
        self.output.insert("native.rs", code.into_string() + body.as_str());
    }

    /// Constructors, functions and rows.
    fn layout(
        &mut self,
        shapes: &Shapes<'_, '_>,
        places: &Places,
        types: &Types<'_>,
        functions: &calls::Functions<'_>,
    ) {
        let mut body = Code::default();
        tables::layout(&mut body, shapes, places, types, functions);
        let mut code = Code::default();
        code.line(0, &self.options.header());
        code.blank();
        code.line(0, "//! What the decoder knows about constructors, functions and their fields, in bytes.");
        code.line(0, ALLOWED);
        code.line(0, UNSAFE);
        code.blank();
        imports(&mut code, "super", body.as_str());
        self.output.insert("layout.rs", code.into_string() + body.as_str());
    }

    /// `AnyCall`.
    fn any_call(&mut self, shapes: &Shapes<'_, '_>, places: &Places, functions: &calls::Functions<'_>) {
        let mut body = Code::default();
        calls::write(&mut body, shapes, self.options, functions);
        body.blank();
        calls::table(&mut body, self.options, places, functions);
        let mut code = Code::default();
        code.line(0, &self.options.header());
        code.blank();
        code.line(0, "//! Calls as a server receives them.");
        code.line(0, ALLOWED);
        code.line(0, UNSAFE);
        code.blank();
        imports(&mut code, "super", body.as_str());
        self.output.insert("any_call.rs", code.into_string() + body.as_str());
    }
}

const UNSAFE: &str = "#![allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = \"a table is a promise: types and tables are printed from one plan\")]";

/// Imports the runtime and the modules that `body` refers to.
fn imports(code: &mut Code, above: &str, body: &str) {
    let is_used =
        |module: &&str| body.match_indices(&format!("{module}::")).any(|(at, _)| is_path_start(body, at));
    if is_used(&"tl") {
        code.line(0, RUNTIME);
    }
    let used: Vec<&str> =
        ["enums", "functions", "layout", "tables", "types"].into_iter().filter(is_used).collect();
    if !used.is_empty() {
        if is_used(&"tl") {
            code.blank();
        }
        code.line(0, &format!("use {above}::{{{}}};", used.join(", ")));
    }
    code.blank();
}

/// Whether what begins at `at` is the first part of a path, not the middle of one or of a word.
fn is_path_start(body: &str, at: usize) -> bool {
    !body[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':'))
}
