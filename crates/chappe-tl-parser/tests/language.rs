//! Everything that schemas say, and what becomes of it.

use chappe_tl_parser::{
    Category, Definition, Dialect, Name, ParameterKind, ParseOptions, Schema, Type, id, parse, parse_with,
};

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

fn types_of(definition: &Definition) -> Vec<String> {
    definition.fields().map(|(_, ty, _)| ty.to_string()).collect()
}

#[test]
fn a_number_that_nothing_depends_on_is_a_value() {
    let schema =
        schema("page offset:# limit:# query:string = Page; mixed mode:# x:mode.1?int count:# = Mixed;");
    let page = &schema.definitions()[0];
    assert!(page.params.iter().all(|param| param.kind != ParameterKind::Flags));
    assert_eq!(types_of(page), ["#", "#", "string"]);
    assert_eq!(types_of(&schema.definitions()[1]), ["int", "#"]);
    assert_eq!(
        schema.definitions()[0].line(),
        format!("page#{:08x} offset:# limit:# query:string = Page;", page.id)
    );
}

#[test]
fn an_empty_flags_word_of_the_api_stays_one() {
    let text = "exportedChatlistInvite#c5181ac flags:# title:string = ExportedChatlistInvite;";
    let kind = |dialect| {
        let options = ParseOptions::default().dialect(dialect);
        parse_with("test.tl", text, &options).expect("it can be read").definitions()[0].params[0].kind.clone()
    };
    assert_eq!(kind(Dialect::Telegram), ParameterKind::Flags);
    assert_eq!(kind(Dialect::Ton), ParameterKind::Value { ty: Type::Nat, condition: None });
}

#[test]
fn numbers_may_stand_anywhere() {
    let schema = schema("one flags:# a:flags.0?# b:Vector<#> c:(vector #) = One;");
    assert_eq!(types_of(&schema.definitions()[0]), ["#", "Vector<#>", "vector<#>"]);
}

#[test]
fn built_in_types_may_be_declared_in_every_way() {
    let text = "
        double ? = Double; string ? = String; int32 = Int32; int53 = Int53; int64 = Int64; bytes = Bytes;
        int128 4*[ int ] = Int128; int256 8*[ int32 ] = Int256; int512 16*[ int ] = Int512;
        secureBytes ? = SecureBytes; secureString ? = SecureString;
        error code:int32 message:string big:int53 other:Vector<int64> raw:bytes secret:secureBytes
            name:secureString digest:int512 = Error;";
    let schema = schema(text);
    assert_eq!(schema.definitions().len(), 1);
    let expected = ["int", "string", "long", "Vector<long>", "bytes", "bytes", "string", "int512"];
    assert_eq!(types_of(&schema.definitions()[0]), expected);
}

#[test]
fn built_in_types_that_nobody_declares_do_not_exist() {
    let problems = parse("test.tl", "one x:int53 = One;").map(|_| ()).unwrap_err();
    assert!(problems.to_string().starts_with("test.tl:1:1: type `int53` is not defined"), "{problems}");
    assert!(schema("int32 x:int = Int32;").constructor(&Name::new("int32")).is_some());
}

#[test]
fn ton_declares_bytes_as_a_constructor() {
    let text =
        "int ? = Int; object ? = Object; function ? = Function; bytes data:string = Bytes; true = True;
        answer data:bytes any:Object other:Function = Answer;";
    let schema = schema(text);
    assert_eq!(schema.dialect(), Dialect::Ton);
    assert_eq!(
        types_of(schema.constructor(&Name::new("answer")).expect("it is defined")),
        ["bytes", "Object", "Object"]
    );
}

#[test]
fn ids_follow_the_rule_of_the_dialect() {
    let ton = "object ? = Object; int256 8*[ int ] = Int256; true = True;
        adnl.Message = adnl.Message;
        ---functions---
        liteServer.query data:bytes = Object;
        adnl.message.query query_id:int256 query:bytes = adnl.Message;"
        .replace("adnl.Message = adnl.Message;", "adnl.message.nop = adnl.Message;");
    let schema = schema(&ton);
    let id_of = |name: &str| schema.function(&Name::new(name)).map(|function| function.id);
    assert_eq!(id_of("liteServer.query"), Some(0x798c_06df));
    assert_eq!(id_of("adnl.message.query"), Some(0xb48b_f97a));
    // Parentheses do not count, `true` fields do.
    let plain =
        id::normalize_in(Dialect::Ton, "a.b#12 mode:# x:mode.1?true ids:(vector a.c) z:Vector<bytes> = A;");
    assert_eq!(plain, "a.b mode:# x:mode.1?true ids:vector a.c z:Vector bytes = A");
    assert_eq!(id::normalize("b flags:# x:flags.1?true y:bytes = A;"), "b flags:# y:string = A");
}

#[test]
fn dialects_are_detected_and_can_be_given() {
    assert_eq!(schema("int53 = Int53; one = One;").dialect(), Dialect::Tdlib);
    assert_eq!(schema("function ? = Function; one = One;").dialect(), Dialect::Ton);
    assert_eq!(schema("int ? = Int; one = One;").dialect(), Dialect::Telegram);
    let given = ParseOptions::default().dialect("ton".parse().expect("it is one"));
    assert_eq!(
        parse_with("test.tl", "one x:bytes = One;", &given).map(|schema| schema.dialect()),
        Ok(Dialect::Ton)
    );
    assert!("tl".parse::<Dialect>().is_err());
}

#[test]
fn names_may_have_many_dots() {
    let schema = schema("a.b.c x:int = a.b.C; a.b.D.e c:a.b.c d:a.b.C = a.b.D.E;");
    let name = &schema.definitions()[1].name;
    assert_eq!((name.namespace.as_deref(), &*name.ident), (Some("a.b.D"), "e"));
    assert_eq!(name.to_string(), "a.b.D.e");
    assert_eq!(types_of(&schema.definitions()[1]), ["a.b.c", "a.b.C"]);
    assert_eq!(schema.namespaces().into_iter().collect::<Vec<_>>(), ["a.b", "a.b.D"]);
}

#[test]
fn vectors_may_be_written_side_by_side() {
    let schema = schema(
        "future_salt salt:long = FutureSalt;
         one msg_ids:Vector long salts:vector future_salt deep:Vector vector int opt:# x:opt.1?Vector long
             pair:%(Vector int) last:(Vector %FutureSalt) = One;",
    );
    let expected = [
        "Vector<long>",
        "vector<future_salt>",
        "Vector<vector<int>>",
        "Vector<long>",
        "vector<int>",
        "Vector<%FutureSalt>",
    ];
    assert_eq!(types_of(&schema.definitions()[1]), expected);
}

#[test]
fn a_later_layer_of_a_secret_chat_takes_the_name() {
    let text = "
        ===8===
        decryptedMessage#1f814f1f random_id:long random_bytes:bytes message:string = DecryptedMessage;
        media = Media;
        ===17===
        decryptedMessage#204d3878 random_id:long ttl:int message:string = DecryptedMessage;
        ===45===
        decryptedMessage#36b091de flags:# random_id:long ttl:int message:string = DecryptedMessage;";
    let schema = schema(text);
    let names: Vec<String> =
        schema.constructors_of(&Name::new("DecryptedMessage")).map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["decryptedMessageLayer8", "decryptedMessageLayer17", "decryptedMessage"]);
    assert_eq!(schema.layer(), Some(45));
    assert_eq!(schema.by_id(0x204d_3878).and_then(|one| one.layer), Some(17));
    let problems = parse("test.tl", "===8===\none = One;\none x:int = One;").map(|_| ()).unwrap_err();
    assert!(problems.to_string().contains("`one` is defined twice"), "{problems}");
    let problems = parse("test.tl", "===x===\none = One;").map(|_| ()).unwrap_err();
    assert!(problems.to_string().contains("expected `===N===`"), "{problems}");
}

#[test]
fn the_layer_can_be_given_and_spelled_otherwise() {
    assert_eq!(schema("// Layer:  121\none = One;").layer(), Some(121));
    assert_eq!(schema("// layer 23\none = One;\n// layer 45").layer(), None);
    let given = ParseOptions::default().layer(7);
    assert_eq!(
        parse_with("test.tl", "// LAYER 5\none = One;", &given).map(|schema| schema.layer()),
        Ok(Some(7))
    );
}

#[test]
fn the_json_form_is_read() {
    let json = r##"{"constructors":[
        {"id":"481674261","predicate":"vector","params":[],"type":"Vector t"},
        {"id":"-1132882121","predicate":"boolFalse","params":[],"type":"Bool"},
        {"id":"0","predicate":"page","params":[{"name":"flags","type":"#"},{"name":"n","type":"flags.0?Vector<int>"}],"type":"Page"}],
        "methods":[{"id":"-627372787","method":"invokeWithLayer","params":[{"name":"layer","type":"int"},
            {"name":"query","type":"!X"}],"type":"X"}]}"##;
    let schema = schema(json);
    assert_eq!(schema.by_id(0xbc79_9737).map(|one| one.name.to_string()).as_deref(), Some("boolFalse"));
    let wrapper = schema.functions().next().expect("there is one");
    assert_eq!((wrapper.id, &*wrapper.generics[0]), (0xda9b_0d0d, "X"));
    assert_eq!(wrapper.line(), "invokeWithLayer#da9b0d0d {X:Type} layer:int query:!X = X;");
    assert_eq!(types_of(schema.constructor(&Name::new("page")).expect("it is there")), ["Vector<int>"]);
    let secret = r#"{"constructors":[{"id":1,"predicate":"m","params":[],"type":"M","layer":"8"},
        {"id":2,"predicate":"m","params":[],"type":"M","layer":17}],"methods":[]}"#;
    let names: Vec<String> = parse("test.json", secret)
        .expect("it is one")
        .definitions()
        .iter()
        .map(|one| one.name.to_string())
        .collect();
    assert_eq!(names, ["mLayer8", "m"]);
    for (json, expected) in [
        ("{\"a\":1}", "test.json:1:1: expected `constructors` and `methods`"),
        ("{\n  @}", "test.json:2:3: expected a schema in JSON"),
        ("{\"constructors\":[{\"id\":1}]}", "test.json:1:1: `predicate` number 0 is not a definition"),
    ] {
        let problems = parse("test.json", json).map(|_| ()).unwrap_err().to_string();
        assert!(problems.starts_with(expected), "{problems}");
    }
}

#[test]
fn byte_order_marks_and_carriage_returns_do_not_count() {
    let text = "\u{feff}// LAYER 7\r\none#d837f2b0 x:int\r\n = One;\r\n---functions---\r\ncall = One;\r\n";
    let schema = schema(text);
    assert_eq!((schema.layer(), schema.definitions().len(), schema.warnings().len()), (Some(7), 2, 0));
    let problems = parse("test.tl", "\u{feff}one = ;\r\n").map(|_| ()).unwrap_err();
    assert_eq!(problems.to_string(), "test.tl:1:7: expected a type, found `;`\n1 | one = ;\n  |       ^");
}
