//! Functions: structs with their id in front, and what they return.

use chappe_tl_parser::{Definition, Type};

use super::rust_type::rust_type;
use super::structs::Struct;
use crate::code::Code;
use crate::{GeneratorOptions, Plan, names};

/// A function: struct, id, codec of the boxed form, return type.
pub(super) fn write(code: &mut Code, plan: &Plan<'_>, options: &GeneratorOptions, function: &Definition) {
    let definition = Struct::new(plan, options, function);
    definition.write(code, 4);
    code.blank();
    let (generics, name) = definition.generics("RemoteCall");
    code.impl_for(0, &format!("{generics} tl::RemoteCall"), &name);
    code.line(1, &format!("type Return = {};", answer(plan, &function.result)));
    code.line(0, "}");
}

/// The type of an answer.
fn answer(plan: &Plan<'_>, result: &Type) -> String {
    match result {
        // The wrapped call's result: `X` names the call, not what it returns.
        Type::Generic { name, .. } => format!("{}::Return", names::generic_name(name)),
        Type::Vector { element, boxed: true } => format!("tl::Vec<{}>", answer(plan, element)),
        Type::Vector { element, boxed: false } => format!("tl::RawVec<{}>", answer(plan, element)),
        other => rust_type(plan, other),
    }
}
