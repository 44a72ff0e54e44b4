//! The built-in types that schemas declare, and what they are on the wire.

use std::collections::BTreeSet;

use crate::model::{Definition, ParameterKind, Type};

/// Returns what a built-in type is on the wire. Those of other names have no known encoding.
pub(crate) fn known(name: &str) -> Option<Type> {
    Some(match name {
        "int" | "int32" => Type::Int,
        "long" | "int53" | "int64" => Type::Long,
        "double" => Type::Double,
        "string" | "secureString" => Type::String,
        "bytes" | "secureBytes" => Type::Bytes,
        "int128" => Type::Int128,
        "int256" => Type::Int256,
        "int512" => Type::Int512,
        "object" | "function" => Type::Object,
        _ => return None,
    })
}

/// Returns whether `name = result` declares a built-in type without saying so by `?`: `int32 = Int32`.
pub(crate) fn is_declaration(name: &str, result: &str) -> bool {
    let mut letters = name.chars();
    let capital = letters.next().map(|first| first.to_ascii_uppercase());
    known(name).is_some() && result.chars().eq(capital.into_iter().chain(letters))
}

/// Replaces the names of the built-in types that the schema declares: `int53` becomes `long`.
pub(crate) fn resolve(definitions: &mut [Definition], declared: &BTreeSet<String>) {
    for definition in definitions {
        let params = definition.params.iter_mut().filter_map(|param| match &mut param.kind {
            ParameterKind::Value { ty, .. } => Some(ty),
            ParameterKind::Flags => None,
        });
        for mut ty in params.chain([&mut definition.result]) {
            while let Type::Vector { element, .. } = ty {
                ty = element;
            }
            let name = match ty {
                Type::Bare(name) if name.namespace.is_none() => name.ident.clone(),
                // The only one that is boxed by itself.
                Type::Boxed(name) if name.namespace.is_none() && name.ident == "Function" => {
                    "function".into()
                }
                _ => continue,
            };
            if let Some(builtin) = known(&name).filter(|_| declared.contains(&name)) {
                *ty = builtin;
            }
        }
    }
}
