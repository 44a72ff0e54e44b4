//! What is said about schemas that cannot be read.

use chappe_tl_parser::{MAX_DIAGNOSTICS, ParseOptions, Severity, parse, parse_with};

fn problems_of(text: &str) -> String {
    parse("test.tl", text).map(|_| ()).expect_err("it cannot be read").to_string()
}

fn strictly(text: &str) -> String {
    let strict = ParseOptions::default().strict();
    parse_with("test.tl", text, &strict).map(|_| ()).expect_err("it cannot be read").to_string()
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
    let problems = strictly(text);
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
fn an_explicit_id_wins_and_is_reported() {
    let text = "one#12345678 = One;\ncall = One;\n---functions---\nask#12345678 = One;";
    let schema = parse("test.tl", text).expect("it can be read");
    assert_eq!(schema.by_id(0x1234_5678).map(|first| first.name.to_string()).as_deref(), Some("one"));
    assert_eq!(schema.functions().next().map(|ask| ask.id), Some(0x1234_5678));
    let warnings: Vec<String> = schema.warnings().iter().map(ToString::to_string).collect();
    let first_lines: Vec<&str> = warnings.iter().filter_map(|warning| warning.lines().next()).collect();
    assert_eq!(
        first_lines,
        [
            "test.tl:1:1: warning: expected id 3a73442c for this definition, found 12345678",
            "test.tl:4:1: warning: expected id 4530c019 for this definition, found 12345678",
            "test.tl:4:1: warning: id 12345678 belongs to `one` already",
        ]
    );
    assert!(schema.warnings().iter().all(|one| one.severity == Severity::Warning));
    assert!(strictly(text).starts_with("test.tl:1:1: expected id 3a73442c"));
}

#[test]
fn an_id_can_be_trusted_by_name() {
    let text = "one#12345678 = One;";
    let trusting = ParseOptions::default().trust_id_of("one").strict();
    let schema = parse_with("test.tl", text, &trusting).expect("the id is trusted");
    assert!(schema.by_id(0x1234_5678).is_some());
    assert_eq!(schema.warnings(), []);
}

#[test]
fn constructors_of_one_type_need_ids_of_their_own() {
    let problems = problems_of("one#12345678 = One;\ntwo#12345678 = One;");
    assert!(problems.starts_with("test.tl:2:1: id 12345678 belongs to `one` already"), "{problems}");
}

#[test]
fn what_is_no_schema_is_refused_in_a_message_of_bounded_length() {
    let json = format!("{{\"cars\":[{}1]}}", "{\"a\":\"@\"},".repeat(50_000));
    let html = "<p>@@@</p>".repeat(50_000);
    for text in [&json, &html, &json[1..], &"@".repeat(500_000), &"a".repeat(500_000), &"x:".repeat(250_000)]
    {
        let problems = parse("test.tl", text).map(|_| ()).expect_err("it is no schema");
        let shown = problems.to_string();
        assert!(shown.len() < 64 << 10, "{} bytes: {}", shown.len(), &shown[..1000]);
        assert!(problems.iter().count() <= MAX_DIAGNOSTICS);
    }
}

#[test]
fn a_long_line_is_shown_around_the_position() {
    let text = format!("{}bad x = Bad; // {}", " ".repeat(440), "é ".repeat(200));
    let problems = problems_of(&text);
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines[0], "test.tl:1:447: expected `:`, found `=`");
    assert!(lines[1].starts_with("1 | …") && lines[1].ends_with('…'), "{}", lines[1]);
    let mark = lines[2].chars().position(|c| c == '^').expect("there is a mark");
    assert_eq!(lines[1].chars().nth(mark), Some('='));
}

#[test]
fn types_do_not_nest_without_end() {
    for open in ["Vector<", "(", "vector ", "%("] {
        let problems = problems_of(&format!("one x:{}int = One;", open.repeat(100_000)));
        assert!(problems.contains("nests deeper than 16"), "{}", &problems[..200]);
    }
}

#[test]
fn a_build_script_prints_problems_as_a_compiler_does() {
    let problems = parse("test.tl", "one = One").map(|_| ()).expect_err("the semicolon is missing");
    assert_eq!(format!("{problems:?}"), format!("\n{problems}"));
}

#[test]
fn parts_of_the_full_language_are_refused_by_name() {
    for (text, expected) in [
        ("one {n:#} x:int = One;", "expected `Type`, found `#`"),
        ("one t:# x:t*[ int ] = One;", "expected a parameter or `=`, found `*`"),
        ("one int = One;", "expected `:`, found `=`"),
        ("one x:Maybe<int> = One;", "expected a vector before `<`, found `Maybe`"),
        ("one {X:Type} x:X = One;", "a constructor with type parameters is not supported"),
        ("one = One; ---functions--- f {X:Type} = One;", "no parameter has the type parameter `X`"),
        ("one = One; ---functions--- f {X:Type} {X:Type} x:!X = One;", "type parameter `X` is there twice"),
        ("one a:# b:a.0?# c:b.0?int = One;", "`c` depends on `b`, which is conditional itself"),
    ] {
        let problems = problems_of(text);
        assert!(problems.contains(expected), "{text}: {problems}");
    }
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
