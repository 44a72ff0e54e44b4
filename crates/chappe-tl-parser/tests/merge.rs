//! Joining schemas: what is alike is there once, what differs keeps both meanings.
#![allow(clippy::unwrap_used, reason = "tests")]

use chappe_tl_parser::{Merged, Name, Schema, parse};

fn read(text: &str) -> Schema {
    parse("t.tl", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn merge(first: &str, second: &str) -> Merged {
    Schema::merge([("one", &read(first)), ("two", &read(second))])
}

fn lines(merged: &Merged) -> Vec<String> {
    let without_id = |line: &str| -> String {
        let (name, rest) = line.split_once('#').unwrap();
        name.to_owned() + &rest[8..]
    };
    merged.schema.definitions().iter().map(|one| without_id(&one.line())).collect()
}

fn conflicts(merged: &Merged) -> Vec<String> {
    merged.conflicts.iter().map(ToString::to_string).collect()
}

#[test]
fn equal_schemas_merge_into_one() {
    let text =
        "a = T; b n:T = T; c v:vector<a> w:%U = V; d = U; e o:Bool = V; ---functions--- f t:T = V; g = Bool;";
    let merged = merge(text, text);
    assert_eq!(merged.schema.to_string(), read(text).to_string());
    assert_eq!(merged.conflicts, []);
}

#[test]
fn a_type_that_contains_another_one_is_another_one() {
    let first = "size n:int = Size; photo s:Size = Photo; album p:vector<photo> = Album; same = Same;
        ---functions--- get a:Album = Photo; ask s:Same = Same;";
    let second = "size n:long = Size; photo s:Size = Photo; album p:vector<photo> = Album; same = Same;
        ---functions--- get a:Album = Photo; ask s:Same = Same; more p:%Photo = Bool;";
    let merged = merge(first, second);
    assert_eq!(
        lines(&merged)[6..],
        [
            "two.size n:long = two.Size;",
            "two.photo s:two.Size = two.Photo;",
            "two.album p:vector<two.photo> = two.Album;",
            "two.get a:two.Album = two.Photo;",
            "more p:%two.Photo = Bool;",
        ]
    );
    // Every reference leads somewhere.
    read(&merged.schema.to_string());
    assert_eq!(
        conflicts(&merged)[..4],
        [
            "type `Album` is two types: `two.Album` is the second",
            "type `Photo` is two types: `two.Photo` is the second",
            "type `Size` is two types: `two.Size` is the second",
            "constructor `album` is two constructors: `two.album` is the second",
        ]
    );
    // The ids do not depend on what is in a type.
    assert!(conflicts(&merged).iter().any(|one| one.ends_with("belongs to `photo` and to `two.photo`")));
}

#[test]
fn one_id_of_two_definitions_is_reported_and_the_first_wins() {
    let merged = merge("a#00000001 = A;", "b#00000001 n:int = B;");
    assert_eq!(conflicts(&merged), ["id 00000001 belongs to `a` and to `b`"]);
    assert_eq!(merged.schema.by_id(1).unwrap().name, Name::new("a"));
    assert!(merged.schema.constructor(&Name::new("b")).is_some());
}

#[test]
fn a_label_that_is_taken_is_repeated() {
    let merged = merge("a = A; two.a x:int = two.A; two.b = two.A;", "a n:int = A;");
    assert_eq!(lines(&merged)[3..], ["two.two.a n:int = two.two.A;"]);
}
