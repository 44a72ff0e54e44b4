//! Enums: types.

use chappe_tl_parser::{Definition, Name};

use super::field::with_life;
use super::shape::Shapes;
use crate::code::Code;
use crate::{docs, names};

/// Writes the enum of a type.
pub(super) fn write(code: &mut Code, shapes: &Shapes<'_, '_>, ty: &Name) {
    let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
    let name = names::type_name(&ty.ident);
    match repr(&constructors) {
        Repr::Only => code.line(0, &format!("/// `{}`", constructors[0].line())),
        _ => code.line(0, &format!("/// `{ty}`")),
    }
    docs::ty(code, shapes.plan, ty);
    match repr(&constructors) {
        Repr::Tagged => code.line(0, "#[repr(C, u32)]"),
        Repr::Tag => code.line(0, "#[repr(u32)]"),
        Repr::Nothing => {}
        Repr::Only => {
            let life = with_life(shapes.type_borrows(ty), "'a");
            return code.line(
                0,
                &format!("pub type {name}{life} = tl::One<{}>;", only(shapes, constructors[0], "'a")),
            );
        }
    }
    code.line(0, &format!("pub enum {name}{} {{", with_life(shapes.type_borrows(ty), "'a")));
    for constructor in &constructors {
        let variant = shapes.plan.variant(constructor);
        code.line(1, &format!("/// `{}`", constructor.line()));
        if Shapes::is_unit(constructor) {
            code.line(1, &format!("{variant},"));
        } else {
            let reference = if shapes.is_reference(constructor) { "&'a " } else { "" };
            let path = shapes.struct_path("types", constructor, "'a");
            code.line(1, &format!("{variant}({reference}{path}),"));
        }
    }
    code.line(0, "}");
}

/// Whether a type is a `One` and no enum of its own.
pub(super) fn is_alias(shapes: &Shapes<'_, '_>, ty: &Name) -> bool {
    let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
    repr(&constructors) == Repr::Only
}

/// What a `One` holds: the struct of a constructor, or a reference to it.
pub(super) fn only(shapes: &Shapes<'_, '_>, constructor: &Definition, life: &str) -> String {
    let reference = if shapes.is_reference(constructor) { format!("&{life} ") } else { String::new() };
    reference + &shapes.struct_path("types", constructor, life)
}

/// How an enum is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repr {
    /// Discriminant and payload.
    Tagged,
    /// Discriminant alone.
    Tag,
    /// No enum, but the payload in a `One`.
    Only,
    /// One variant without payload.
    Nothing,
}

pub(super) fn repr(constructors: &[&Definition]) -> Repr {
    let has_payload = constructors.iter().any(|constructor| !Shapes::is_unit(constructor));
    match (constructors.len(), has_payload) {
        (1, true) => Repr::Only,
        (1, false) => Repr::Nothing,
        (_, true) => Repr::Tagged,
        (_, false) => Repr::Tag,
    }
}
