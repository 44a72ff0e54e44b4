//! Telegram's JSON form of a schema, turned into text.

use core::fmt::Write as _;

use serde_json::Value;

/// Why a text is not a schema in JSON.
pub(crate) struct JsonError {
    pub(crate) message: String,
    line: usize,
    column: usize,
}

impl JsonError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: 1, column: 1 }
    }

    /// Returns the position in bytes.
    pub(crate) fn offset(&self, text: &str) -> usize {
        let line_start: usize =
            text.split_inclusive('\n').take(self.line.saturating_sub(1)).map(str::len).sum();
        let mut offset = (line_start + self.column.saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// Returns whether a text can only be JSON: no schema begins with a bracket.
pub(crate) fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Returns the schema as text, a definition on each line.
pub(crate) fn to_tl(text: &str) -> Result<String, JsonError> {
    let json: Value = serde_json::from_str(text).map_err(|error| JsonError {
        message: format!("expected a schema in JSON: {error}"),
        line: error.line(),
        column: error.column(),
    })?;
    let constructors = json.get("constructors").and_then(Value::as_array);
    let methods = json.get("methods").and_then(Value::as_array);
    if constructors.is_none() && methods.is_none() {
        return Err(JsonError::new("expected `constructors` and `methods`, found other JSON"));
    }
    let mut tl = String::new();
    sections(constructors.into_iter().flatten(), "predicate", &mut tl)?;
    tl.push_str("---functions---\n");
    sections(methods.into_iter().flatten(), "method", &mut tl)?;
    Ok(tl)
}

/// Writes definitions. Those of the secret-chat schema have a layer.
fn sections<'v>(
    definitions: impl Iterator<Item = &'v Value>,
    name: &str,
    tl: &mut String,
) -> Result<(), JsonError> {
    let mut last = None;
    for (index, one) in definitions.enumerate() {
        let layer = number(one.get("layer"));
        if let Some(layer) = layer.filter(|_| layer != last) {
            let _ = writeln!(tl, "==={layer}===");
        }
        last = layer;
        definition(one, name, tl)
            .ok_or_else(|| JsonError::new(format!("`{name}` number {index} is not a definition")))?;
    }
    Ok(())
}

fn definition(one: &Value, name: &str, tl: &mut String) -> Option<()> {
    let (name, result) = (one.get(name)?.as_str()?, one.get("type")?.as_str()?);
    if matches!(name, "vector" | "Vector") && one.get("params")?.as_array()?.is_empty() {
        // `vector {t:Type} # [ t ] = Vector t`, which the form cannot express.
        return Some(());
    }
    let id = number(one.get("id"))?;
    // Ids are printed as signed numbers.
    let id = u32::try_from(id).or_else(|_| i32::try_from(id).map(i32::cast_unsigned)).ok()?;
    let _ = write!(tl, "{name}#{id:08x}");
    let params: Vec<(&str, &str)> = one
        .get("params")?
        .as_array()?
        .iter()
        .map(|param| Some((param.get("name")?.as_str()?, param.get("type")?.as_str()?)))
        .collect::<Option<_>>()?;
    let mut generics: Vec<&str> = params.iter().filter_map(|(_, ty)| Some(ty.split_once('!')?.1)).collect();
    generics.dedup();
    for generic in generics {
        let _ = write!(tl, " {{{generic}:Type}}");
    }
    for (name, ty) in params {
        let _ = write!(tl, " {name}:{ty}");
    }
    let _ = writeln!(tl, " = {result};");
    Some(())
}

/// A number, or a number in a string.
fn number(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}
