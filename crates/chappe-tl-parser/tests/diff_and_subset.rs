//! What changed between two schemas, and what a part of one needs.

use chappe_tl_parser::{Category, Impact, Schema, SchemaDiff, parse};

fn schema(text: &str) -> Schema {
    parse("test.tl", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn diff(old: &str, new: &str) -> SchemaDiff {
    SchemaDiff::between(&schema(old), &schema(new))
}

fn impact(old: &str, new: &str) -> Impact {
    diff(old, new).impact()
}

#[test]
fn the_same_schema_has_no_changes() {
    let text = "one x:int = One;\n---functions---\ncall = One;";
    let reordered = "---functions---\ncall = One;\n---types---\n// moved\none x:int = One;";
    assert_eq!(diff(text, reordered).changes, []);
    assert_eq!(impact(text, text), Impact::Compatible);
}

#[test]
fn what_is_new_by_itself_is_compatible() {
    assert_eq!(impact("one = One;", "one = One; two = Two;"), Impact::Compatible);
    assert_eq!(impact("one = One;", "one = One; ---functions--- call = One;"), Impact::Compatible);
}

#[test]
fn a_new_constructor_of_an_old_type_breaks_matches() {
    assert_eq!(impact("one = One;", "one = One; other = One;"), Impact::SourceBreaking);
}

#[test]
fn a_new_flag_without_bytes_breaks_literals_only() {
    let new = "one flags:# silent:flags.1?true x:int = One;";
    assert_eq!(impact("one flags:# x:int = One;", new), Impact::SourceBreaking);
    assert_eq!(impact("one x:bytes = One;", "one x:string = One;"), Impact::SourceBreaking);
}

#[test]
fn another_id_breaks_the_wire() {
    assert_eq!(impact("one x:int = One;", "one x:long = One;"), Impact::WireBreaking);
    assert_eq!(impact("one = One; two = Two;", "one = One;"), Impact::WireBreaking);
}

#[test]
fn changed_fields_are_listed() {
    let old = "one flags:# a:int b:int c:flags.0?string d:long = One; gone = Gone;";
    let new = "one flags:# b:int a:int c:flags.1?string e:double = One; new.come = new.Come;";
    let expected = "\
constructors: 1 added, 1 removed, 1 changed
functions: 0 added, 0 removed, 0 changed
impact: wire-breaking
- gone#4ba6a3d6 = Gone; [wire-breaking]
~ one #OLD -> #NEW [wire-breaking]
    ~ c:flags.0?string -> c:flags.1?string
    - d:long
    ^ b:int
    ^ a:int
    + e:double
+ new.come#a4a3d5cd = new.Come; [compatible]
";
    let diff = diff(old, new);
    let id = |text: &str| format!("{:08x}", schema(text).definitions()[0].id);
    let gone = format!("{:08x}", schema("gone = Gone;").definitions()[0].id);
    let come = format!("{:08x}", schema("new.come = new.Come;").definitions()[0].id);
    let expected = expected.replace("OLD", &id(old)).replace("NEW", &id(new));
    assert_eq!(diff.to_string(), expected.replace("4ba6a3d6", &gone).replace("a4a3d5cd", &come));
    assert_eq!(diff.counts(Category::Types).changed, 1);
}

const LIBRARY: &str = "
    book author:Person pages:Vector<page> = Book;
    page text:string = Page;
    cover = Page;
    person name:string friend:flags_holder = Person;
    flags_holder flags:# x:flags.0?Bool = FlagsHolder;
    shelf books:Vector<Book> = Shelf;
    lonely = Lonely;
    ---functions---
    getBook id:int = Book;
    shelves.all = Vector<Shelf>;
    shelves.clear = Bool;";

fn names_of(subset: &Schema) -> Vec<String> {
    subset.definitions().iter().map(|definition| definition.name.to_string()).collect()
}

#[test]
fn a_subset_has_everything_that_its_functions_need() {
    let subset = schema(LIBRARY).subset(&["getBook"]).expect("it is in the schema");
    assert_eq!(names_of(&subset), ["book", "page", "cover", "person", "flags_holder", "getBook"]);
}

#[test]
fn a_subset_may_be_asked_for_by_namespace_type_and_constructor() {
    let library = schema(LIBRARY);
    let by_namespace = library.subset(&["shelves.*"]).expect("it is in the schema");
    assert!(names_of(&by_namespace).contains(&"shelf".to_owned()));
    assert_eq!(by_namespace.functions().count(), 2);
    assert_eq!(names_of(&library.subset(&["Lonely"]).expect("it is a type")), ["lonely"]);
    assert_eq!(names_of(&library.subset(&["page"]).expect("it is a constructor")), ["page", "cover"]);
}

#[test]
fn a_name_that_is_not_there_is_named() {
    let error = schema(LIBRARY).subset(&["getBook", "getCook"]).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the schema has no function, constructor or type `getCook`");
}

#[test]
fn a_second_constructor_of_a_type_is_reported_with_what_uses_it() {
    let old = schema("one a:int = One; two = Two; pair o:One = Pair; list o:Vector<One> = List;");
    let new = schema("one a:int = One; more = One; two = Two; pair o:One = Pair; list o:Vector<One> = List;");
    let diff = SchemaDiff::between(&old, &new);
    let [grown] = &diff.grown[..] else { panic!("{:?}", diff.grown) };
    assert_eq!(grown.to_string(), "One had only `one`, and has 2 constructors now; used by `pair`, `list`");
    assert!(diff.to_string().ends_with(&format!("! {grown}\n")));
    assert_eq!(SchemaDiff::between(&new, &new).grown, []);
    assert_eq!(SchemaDiff::between(&new, &old).grown, []);
}

#[test]
fn a_difference_has_a_form_in_json() {
    let old = schema("// LAYER 1\na x:int = A;\n---functions---\nf = A;");
    let new = schema("// LAYER 2\na#12345678 x:int y:long = A;\nb = A;");
    let json = SchemaDiff::between(&old, &new).to_json();
    assert_eq!((&json["old_layer"], &json["new_layer"]), (&1.into(), &2.into()));
    assert_eq!(json["verdict"], "wire-breaking");
    assert_eq!(json["constructors"], serde_json::json!({ "added": 1, "removed": 0, "changed": 1 }));
    let kinds: Vec<_> =
        json["changes"].as_array().unwrap().iter().map(|one| (&one["name"], &one["kind"])).collect();
    assert_eq!(
        kinds,
        [(&"a".into(), &"changed".into()), (&"b".into(), &"added".into()), (&"f".into(), &"removed".into())]
    );
    assert_eq!(json["changes"][0]["new"], "a#12345678 x:int y:long = A;");
    assert_eq!(json["changes"][0]["fields"][0], "+ y:long");
    assert_eq!(json["grown"][0]["constructors"], serde_json::json!(["a", "b"]));
}
