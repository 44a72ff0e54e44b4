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
    let result = match &function.result {
        // The wrapped call's result: `X` names the call, not what it returns.
        Type::Generic { name, .. } => format!("{}::Return", names::type_name(name)),
        other => rust_type(plan, other),
    };
    code.line(1, &format!("type Return = {result};"));
    code.line(0, "}");
}
