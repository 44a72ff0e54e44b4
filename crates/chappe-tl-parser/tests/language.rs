//! Everything that schemas say, and what becomes of it.

use chappe_tl_parser::{Category, Name, ParameterKind, Schema, Type, parse};

fn schema(text: &str) -> Schema {
    parse("test.tl", text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn comments_may_stand_anywhere() {
    let text = "/* первый */ one /* a;b */ x:int // c = D;\n = One; // trailing comment; with = signs\ntwo = Two;//\n";
    let schema = schema(text);
    let names: Vec<String> = schema.definitions().iter().map(chappe_tl_parser::Definition::line).collect();
    assert_eq!(names, ["one#d837f2b0 x:int = One;", "two#b8c4e159 = Two;"].map(str::to_owned));
}

#[test]
fn the_layer_may_stand_first_or_last() {
    assert_eq!(schema("// LAYER 230\none = One;").layer(), Some(230));
    assert_eq!(schema("one = One;\n// LAYER 224").layer(), Some(224));
    assert_eq!(schema("one = One; // a LAYER 7 cake").layer(), None);
}

#[test]
fn flags_words_may_stand_anywhere_and_there_may_be_several() {
    let schema = schema("one id:long flags:# a:flags.31?true b:int flags2:# c:flags2.0?string = One;");
    let one = &schema.definitions()[0];
    let words: Vec<usize> =
        (0..one.params.len()).filter(|at| one.params[*at].kind == ParameterKind::Flags).collect();
    assert_eq!(words, [1, 4]);
    assert_eq!(one.fields().count(), 4);
    assert_eq!(one.fields_of_bit("flags2", 0).count(), 1);
}

#[test]
fn types_are_told_apart() {
    let text = "
        item = Item;
        one a:%Item b:item c:Item d:Vector<item> e:vector<%Item> f:%Vector<Vector<int>> g:(Vector int)
            h:Bool i:int128 j:int256 k:double l:bytes m:string n:Object = One;
        ---functions---
        call {X:Type} query:!X = X;
        ns.list = Vector<Item>;
        ---types---
        tail = Tail;";
    let schema = schema(text);
    let one = schema.constructor(&Name::new("one")).expect("it is defined");
    let item = || Name::new("item");
    let vector = |element, boxed| Type::Vector { element: Box::new(element), boxed };
    let types: Vec<Type> = one.fields().map(|(_, ty, _)| ty.clone()).collect();
    let expected = [
        Type::BareOf(Name::new("Item")),
        Type::Bare(item()),
        Type::Boxed(Name::new("Item")),
        vector(Type::Bare(item()), true),
        vector(Type::BareOf(Name::new("Item")), false),
        vector(vector(Type::Int, true), false),
        vector(Type::Int, true),
        Type::Bool,
        Type::Int128,
        Type::Int256,
        Type::Double,
        Type::Bytes,
        Type::String,
        Type::Object,
    ];
    assert_eq!(types, expected);
    let call = schema.function(&Name::new("call")).expect("it is defined");
    assert_eq!(call.result, Type::Generic { name: "X".to_owned(), call: false });
    let list = schema.function(&Name::new("ns.list")).expect("it is defined");
    assert_eq!(list.result.to_string(), "Vector<Item>");
    let tail = schema.constructor(&Name::new("tail")).expect("sections may alternate");
    assert_eq!(tail.category, Category::Types);
}

#[test]
fn built_in_declarations_are_no_definitions() {
    let text = "
        int ? = Int; long ? = Long; double ? = Double; string ? = String;
        vector#1cb5c415 {t:Type} # [ t ] = Vector t; vector {t:Type} # [ t ] = Vector t;
        int128 4*[ int ] = Int128; int256 8*[ int ] = Int256;
        one = One;";
    assert_eq!(schema(text).definitions().len(), 1);
}

#[test]
fn field_names_may_be_keywords_and_types_and_begin_with_capitals() {
    let schema = schema("one type:int self:long long:double bytes:bytes A:string srp_B:string = One;");
    assert_eq!(schema.definitions()[0].fields().count(), 6);
}

#[test]
fn a_line_can_be_read_again() {
    let text = "a.one#1 {X:Type} flags:# b:flags.3?Vector<long> q:!X = a.One;".replace("#1 ", " ");
    let once = schema(&format!("one = a.One;---functions---{text}"));
    let line = once.definitions()[1].line();
    let twice = schema(&format!("one = a.One;---functions---{line}"));
    assert_eq!(twice.definitions()[1].line(), line);
}
