//! What is said about schemas that cannot be read.

use chappe_tl_parser::{ParseOptions, parse, parse_with};

fn problems_of(text: &str) -> String {
    parse("test.tl", text).map(|_| ()).expect_err("it cannot be read").to_string()
}

#[test]
fn several_errors_are_reported_in_one_run_with_line_column_and_line() {
    let text = "\
// Комментарий
good flags:# x:flags.0?int = Good;
bad1 x:int y = Bad;
bad2 x:flags.32?int = Bad;
  bad3#12345678g = Bad;
bad4 x:Vector = Bad;
bad5 é:int = Bad;
---sections---
last = Last;
";
    let expected = "\
test.tl:3:14: expected `:`, found `=`
3 | bad1 x:int y = Bad;
  |              ^
test.tl:4:14: expected a bit from 0 to 31, found `32`
4 | bad2 x:flags.32?int = Bad;
  |              ^
test.tl:5:8: expected an id of 1 to 8 hexadecimal digits, found `12345678g`
5 |   bad3#12345678g = Bad;
  |        ^
test.tl:6:15: expected `<` and the type of the elements, found `=`
6 | bad4 x:Vector = Bad;
  |               ^
test.tl:7:6: `é` has no meaning in a schema
7 | bad5 é:int = Bad;
  |      ^
test.tl:7:7: expected a parameter or `=`, found `:`
7 | bad5 é:int = Bad;
  |       ^
test.tl:8:1: expected `---types---` or `---functions---`
8 | ---sections---
  | ^";
    assert_eq!(problems_of(text), expected);
}

#[test]
fn a_forgotten_semicolon_costs_one_definition() {
    let expected = "\
test.tl:2:1: expected `;`, found `two`
2 | two = Two;
  | ^
test.tl:3:11: expected a type, found `=`
3 | three x: = Three;
  |          ^";
    assert_eq!(problems_of("one = One\ntwo = Two;\nthree x: = Three;"), expected.replace(":3:11", ":3:10"));
}

#[test]
fn wrong_ids_and_references_are_reported_where_the_definition_begins() {
    let text = "\
one#12345678 = One;
two x:Nothing y:nothing z:%One = Two;
three x:flags.0?int flags:# = Three;
four x:true = Four;
five x:int x:int = Five;
two = Two;
";
    let problems = problems_of(text);
    let first_lines: Vec<&str> = problems.lines().filter(|line| line.starts_with("test.tl")).collect();
    assert_eq!(
        first_lines,
        [
            "test.tl:1:1: expected id 3a73442c for this definition, found 12345678",
            "test.tl:2:1: type `Nothing` is not defined",
            "test.tl:2:1: type `nothing` is not defined",
            "test.tl:3:1: expected an earlier parameter `flags:#` for `x`, found none",
            "test.tl:4:1: `x` is `true` without a condition, which has no bytes",
            "test.tl:5:1: parameter `x` is there twice",
            "test.tl:6:1: `two` is defined twice, first with id 20bf7625",
        ]
    );
}

#[test]
fn an_id_can_be_trusted_by_name() {
    let text = "one#12345678 = One;";
    assert!(parse("test.tl", text).is_err());
    let schema =
        parse_with("test.tl", text, &ParseOptions::default().trust_id_of("one")).expect("the id is trusted");
    assert!(schema.by_id(0x1234_5678).is_some());
}

#[test]
fn two_layers_contradict_each_other() {
    assert_eq!(
        problems_of("// LAYER 5\none = One;\n/* LAYER 6 */"),
        "test.tl:3:1: expected one layer, found 6 after 5\n3 | /* LAYER 6 */\n  | ^"
    );
}

#[test]
fn a_comment_must_end() {
    let problems = problems_of("one = One; /* forgotten\ntwo = Two;");
    assert!(problems.starts_with("test.tl:1:12: expected `*/`"), "{problems}");
}

#[test]
fn any_text_is_read_without_panic() {
    let seed =
        "// LAYER 7\na#1 {X:Type} flags:# b:flags.3?Vector<%C> q:!X = d.E<int>; /* é */ ---functions---\n";
    let letters: Vec<char> = seed.chars().collect();
    for cut in 0..letters.len() {
        let without: String =
            letters.iter().enumerate().filter(|(at, _)| *at != cut).map(|(_, c)| c).collect();
        let prefix: String = letters[..cut].iter().collect();
        let doubled: String = letters[cut..].iter().chain(&letters[..cut]).collect();
        for text in [without, prefix, doubled] {
            if let Err(problems) = parse("test.tl", &text) {
                assert!(problems.len() > 0 && !problems.to_string().is_empty());
            }
        }
    }
}
