//! The conversion of TL names to Rust names. Callers depend on these rules.

use chappe_tl_parser::{Definition, Name};

/// Turns a TL name without namespace into `PascalCase`, runs of capitals lowered: `req_DH_params` becomes
/// `ReqDhParams`, `P_Q_inner_data` becomes `PQInnerData`.
///
/// ```
/// use chappe_tl_gen::names::type_name;
///
/// assert_eq!(type_name("resPQ"), "ResPq");
/// assert_eq!(type_name("server_DH_inner_data"), "ServerDhInnerData");
/// assert_eq!(type_name("inputCheckPasswordSRP"), "InputCheckPasswordSrp");
/// ```
pub fn type_name(ident: &str) -> String {
    let mut name = String::with_capacity(ident.len());
    let mut after_capital = false;
    let mut begins_word = true;
    for letter in ident.chars() {
        if letter == '_' {
            (after_capital, begins_word) = (false, true);
            continue;
        }
        name.push(match letter {
            _ if begins_word => letter.to_ascii_uppercase(),
            _ if after_capital => letter.to_ascii_lowercase(),
            _ => letter,
        });
        (after_capital, begins_word) = (letter.is_ascii_uppercase(), false);
    }
    // The only name in PascalCase that is a keyword.
    if name == "Self" { "Self_".to_owned() } else { name }
}

/// Turns the name of a constructor into a variant of its type: what is left after the type's name, or all of it.
///
/// ```
/// use chappe_tl_gen::names::variant_name;
///
/// assert_eq!(variant_name("server_DH_params_ok", "Server_DH_Params"), "Ok");
/// assert_eq!(variant_name("resPQ", "ResPQ"), "ResPq");
/// assert_eq!(variant_name("bad_server_salt", "BadMsgNotification"), "BadServerSalt");
/// assert_eq!(variant_name("inputPeerSelf", "InputPeer"), "PeerSelf");
/// assert_eq!(variant_name("inputPeers", "InputPeer"), "InputPeers");
/// ```
pub fn variant_name(constructor: &str, ty: &str) -> String {
    let full = type_name(constructor);
    let rest = full.strip_prefix(&type_name(ty)).unwrap_or(&full);
    let last_word_of = |lead: &str| lead.rfind(|c: char| c.is_ascii_uppercase()).unwrap_or(0);
    match rest {
        "" => full,
        // A keyword keeps the word before it, as `PeerSelf`.
        "Self" => full[last_word_of(&full[..full.len() - rest.len()])..].to_owned(),
        // The type's name ends within a word.
        _ if rest.starts_with(|first: char| first.is_ascii_lowercase()) => full,
        // A number keeps the word it counts.
        _ if rest.chars().all(char::is_numeric) => full[last_word_of(&full)..].to_owned(),
        _ => rest.to_owned(),
    }
}

/// Turns the name of a parameter into a field: lower case; `self` becomes `is_self`, other keywords are raw.
///
/// ```
/// use chappe_tl_gen::names::field_name;
///
/// assert_eq!(field_name("srp_B"), "srp_b");
/// assert_eq!(field_name("type"), "r#type");
/// assert_eq!(field_name("self"), "is_self");
/// ```
pub fn field_name(param: &str) -> String {
    match param.to_ascii_lowercase().as_str() {
        "self" => "is_self".to_owned(),
        // These cannot be raw identifiers.
        name @ ("super" | "crate") => format!("{name}_"),
        name if KEYWORDS.contains(&name) => format!("r#{name}"),
        name => name.to_owned(),
    }
}

/// Turns one part of a namespace into a module: as [`field_name`], but with an underscore behind what is the name of a module
/// of generated code, a file, or a type of Rust.
///
/// ```
/// use chappe_tl_gen::names::module_name;
///
/// assert_eq!(module_name("help"), "help");
/// assert_eq!(module_name("types"), "types_");
/// ```
pub fn module_name(part: &str) -> String {
    let name = field_name(part);
    if RESERVED.contains(&&*name) { name.trim_start_matches("r#").to_owned() + "_" } else { name }
}

/// Turns a namespace into the path of its module: `engine.validator` becomes `engine::validator`.
pub fn module_path(namespace: &str) -> String {
    namespace.split('.').map(module_name).collect::<Vec<_>>().join("::")
}

/// Turns a type parameter into one of Rust.
pub(crate) fn generic_name(name: &str) -> String {
    match type_name(name) {
        // Generated code has it.
        name if name == "S" => "S_".to_owned(),
        name => name,
    }
}

/// The path of a type or a constructor in a module: `types::auth::SentCode`.
pub(crate) fn path(module: &str, name: &Name) -> String {
    let namespace = name.namespace.as_deref().map(|space| module_path(space) + "::").unwrap_or_default();
    format!("{module}::{namespace}{}", type_name(&name.ident))
}

/// Turns the name of a definition, with its namespace, into one identifier: `help.getConfig` becomes
/// `HelpGetConfig`.
pub fn flat_name(definition: &Definition) -> String {
    let namespace = definition.name.namespace.iter().flat_map(|namespace| namespace.split('.'));
    namespace.chain([&*definition.name.ident]).map(type_name).collect()
}

/// Names that modules of namespaces cannot have: those of modules of generated code, of files, and of types of Rust.
const RESERVED: &[&str] = &[
    "any_call",
    "bool",
    "calls",
    "each",
    "enums",
    "f64",
    "functions",
    "i32",
    "i64",
    "layout",
    "r#mod",
    "names",
    "native",
    "serde",
    "str",
    "tables",
    "tl",
    "types",
    "u32",
    "u8",
    "usize",
    "values",
];

/// Keywords of Rust that can be raw identifiers, reserved ones included.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
