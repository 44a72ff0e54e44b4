//! `AnyCall`: any function of the schema, as a server receives it.

use std::collections::BTreeMap;

use chappe_tl_parser::Definition;

use super::shape::Shapes;
use crate::code::Code;
use crate::{Options, names};

/// The functions of each namespace.
pub(super) type Functions<'s> = BTreeMap<Option<&'s str>, Vec<&'s Definition>>;

/// Writes the enum.
pub(super) fn write(code: &mut Code, shapes: &Shapes<'_, '_>, options: &Options, functions: &Functions<'_>) {
    code.line(0, "/// Any function, as a server receives it.");
    code.line(0, "///");
    code.line(0, "/// The query of a generic function is kept raw, to be decoded in turn.");
    code.line(0, "#[repr(C, u32)]");
    code.line(0, "#[non_exhaustive]");
    code.line(0, "pub enum AnyCall<'a> {");
    for (namespace, functions) in functions {
        for function in functions {
            code.line(1, &format!("/// `{}`", function.name));
            if let Some(feature) = feature(options, *namespace) {
                code.line(1, &format!("#[cfg(feature = \"{feature}\")]"));
            }
            let variant = names::flat_name(function);
            if Shapes::is_unit(function) {
                code.line(1, &format!("{variant},"));
            } else {
                code.line(1, &format!("{variant}(&'a {}),", shapes.call_path(function, "'a")));
            }
        }
    }
    code.line(0, "}");
}

/// Writes the table of the enum.
pub(super) fn table(code: &mut Code, options: &Options, functions: &Functions<'_>) {
    code.line(0, "const PARTS: &[&[tl::Constructor]] = &[");
    for namespace in functions.keys() {
        if let Some(feature) = feature(options, *namespace) {
            code.line(1, &format!("#[cfg(feature = \"{feature}\")]"));
        }
        code.line(1, &format!("&calls::{}::CALLS,", module(*namespace)));
    }
    for line in [
        "];",
        "static ALL: [tl::Constructor; tl::count(PARTS)] = tl::concat(PARTS);",
        "const FORM: tl::Form = tl::Form::calls::<AnyCall<'static>>(\"AnyCall\", tl::count(PARTS));",
        "static SLOTS: [u16; FORM.slots()] = tl::slots(&[&[FORM]], &ALL);",
        "static ANY_CALL: tl::Type = tl::Type::of_enum(&FORM, &ALL, &SLOTS);",
        "tl::described_by_table! { AnyCall<'_>, AnyCall<'a>, &ANY_CALL }",
    ] {
        code.line(0, line);
    }
}

/// The module with the tables of a namespace's functions.
pub(super) fn module(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "root".to_owned(), names::module_name)
}

/// The cargo feature that a namespace's functions stand behind.
pub(super) fn feature<'n>(options: &Options, namespace: Option<&'n str>) -> Option<&'n str> {
    namespace.filter(|_| options.namespace_features)
}
