//! The documentation of generated items: their line of the schema, their page, and what uses them.

use chappe_tl_parser::{Category, Definition, Name};

use crate::Plan;
use crate::code::Code;

/// The most names of each kind that the documentation of a type lists.
const LISTED: usize = 8;

/// Writes the documentation of a constructor or function.
pub(crate) fn definition(code: &mut Code, plan: &Plan<'_>, definition: &Definition) {
    code.line(0, &format!("/// `{}`", definition.line()));
    let kind = match definition.category {
        Category::Types => "constructor",
        Category::Functions => "method",
    };
    page(code, plan, kind, &definition.name);
}

/// Writes the documentation of a type, behind its first line.
pub(crate) fn ty(code: &mut Code, plan: &Plan<'_>, ty: &Name) {
    page(code, plan, "type", ty);
    let uses = [
        ("Returned by", plan.functions_returning(ty), "functions"),
        ("Part of", plan.definitions_with(ty), "definitions"),
    ];
    let sentences: Vec<String> =
        uses.iter().filter_map(|(verb, names, kind)| sentence(verb, names, kind)).collect();
    if !sentences.is_empty() {
        code.line(0, "///");
        code.line(0, &format!("/// {}", sentences.join(" ")));
    }
}

/// `Returned by `x`, `y` and 3 more functions.`
fn sentence(verb: &str, names: &[&Name], kind: &str) -> Option<String> {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more {kind}"),
    };
    (!shown.is_empty()).then(|| format!("{verb} {}{more}.", shown.join(", ")))
}

fn page(code: &mut Code, plan: &Plan<'_>, kind: &str, name: &Name) {
    if let Some(pages) = plan.pages() {
        code.line(0, "///");
        code.line(0, &format!("/// <{pages}/{kind}/{name}>"));
    }
}

#[cfg(test)]
mod tests {
    use crate::{GeneratorOptions, Style, generate};

    const SCHEMA: &str =
        "user id:long = User; empty = User; photo = Photo; chat u:Vector<User> p:photo = Chat;
        ---functions--- getUser = User; getUsers = Vector<User>; ask u:User = Chat;";

    fn generated(style: Style, pages: bool) -> String {
        let schema = chappe_tl_parser::parse("t.tl", SCHEMA).expect("it is a schema");
        let mut options = GeneratorOptions::new("t.tl").style(style);
        if pages {
            options = options.pages("https://example.com");
        }
        generate(&schema, &options).expect("it can be generated").to_single_file()
    }

    #[test]
    fn items_link_their_pages_and_types_list_their_uses() {
        for style in [Style::Owned, Style::Arena] {
            let code = generated(style, true);
            for line in [
                "/// <https://example.com/constructor/user>",
                "/// <https://example.com/method/getUsers>",
                "/// <https://example.com/type/User>",
                "/// Returned by `getUser`, `getUsers`. Part of `ask`, `chat`.",
                "/// Part of `chat`.",
            ] {
                assert!(code.contains(line), "{style:?}: {line}\n{code}");
            }
            assert!(!generated(style, false).contains("example.com"));
        }
    }

    #[test]
    fn a_long_list_of_uses_is_cut() {
        let functions = (0..11).map(|number| format!("f{number:02} = A;")).collect::<Vec<_>>().concat();
        let text = format!("a = A; ---functions--- {functions}");
        let schema = chappe_tl_parser::parse("t.tl", &text).expect("it is a schema");
        let code =
            generate(&schema, &GeneratorOptions::new("t.tl")).expect("it can be generated").to_single_file();
        assert!(code.contains("`f06`, `f07` and 3 more functions."), "{code}");
    }
}
