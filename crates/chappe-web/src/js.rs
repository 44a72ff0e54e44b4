//! Calls into JavaScript for what `web-sys` does not have, or has only with a flag of the compiler.

use js_sys::{Array, Function, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};

/// Returns a property of the page or worker, such as `performance`.
pub(crate) fn global(name: &str) -> Result<JsValue, JsValue> {
    property(&js_sys::global(), name)
}

/// Returns a property of an object.
pub(crate) fn property(object: &JsValue, name: &str) -> Result<JsValue, JsValue> {
    Reflect::get(object, &name.into())
}

/// Calls a method of an object.
pub(crate) fn call(object: &JsValue, method: &str, arguments: &[&JsValue]) -> Result<JsValue, JsValue> {
    let function: Function = property(object, method)?.dyn_into()?;
    let arguments: Array = arguments.iter().copied().collect();
    Reflect::apply(&function, object, &arguments)
}

/// Describes what was thrown: `NotFoundError: No objectStore named states`.
pub(crate) fn describe(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => format!("{}: {}", String::from(error.name()), String::from(error.message())),
        None => format!("{thrown:?}"),
    }
}
