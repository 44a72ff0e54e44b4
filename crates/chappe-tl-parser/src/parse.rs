//! The parser: tokens to definitions. After an error it continues with the next definition.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Problems, Source};
use crate::lexer::{Spanned, Token, shortened};
use crate::model::{Category, Condition, Definition, Name, Parameter, ParameterKind, Type};
use crate::{Dialect, builtin, id};

/// Marks that a diagnostic was reported.
struct Reported;

type Found<T> = Result<T, Reported>;

/// Types nest at most this deep: `Vector<Vector<int>>` has depth 3.
const MAX_DEPTH: usize = 16;

/// What a text declares.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// All definitions, in the order of the file.
    pub(crate) definitions: Vec<Definition>,
    /// The names of the built-in types that are declared.
    pub(crate) builtins: BTreeSet<String>,
    /// The largest layer of a section.
    pub(crate) layer: Option<i32>,
}

/// Parses all definitions.
pub(crate) fn parse_tokens<'a>(
    source: &Source<'a>,
    tokens: &[Spanned<'a>],
    dialect: Dialect,
    problems: &mut Problems,
) -> Parsed {
    let mut parser = Parser { source, tokens, dialect, next: 0, problems };
    let mut category = Category::Types;
    let mut layer = None;
    let mut parsed = Parsed::default();
    while !parser.problems.is_full() {
        let start = parser.next;
        match parser.peek() {
            Token::End => break,
            Token::Section(section) => {
                category = section;
                parser.advance();
            }
            Token::Layer(number) => {
                layer = Some(number);
                parsed.layer = parsed.layer.max(layer);
                parser.advance();
            }
            _ => match parser.declaration(category, layer) {
                Ok(Declaration::Definition(definition)) => parsed.definitions.push(*definition),
                Ok(Declaration::Builtin(name)) => drop(parsed.builtins.insert(name)),
                Err(Reported) => parser.recover(start),
            },
        }
    }
    name_earlier_layers(&mut parsed.definitions);
    builtin::resolve(&mut parsed.definitions, &parsed.builtins);
    parsed
}

/// Where a later layer defines a name again, the last definition keeps it, and the earlier ones get the number of their layer:
/// `decryptedMessageLayer8`.
fn name_earlier_layers(definitions: &mut [Definition]) {
    let mut last: BTreeMap<(Category, Name), usize> = BTreeMap::new();
    for index in 0..definitions.len() {
        let key = (definitions[index].category, definitions[index].name.clone());
        let Some(earlier) = last.insert(key, index) else { continue };
        if let Some(layer) = definitions[earlier].layer
            && definitions[index].layer.is_some_and(|later| later > layer)
        {
            // Writing to a string does not fail.
            let _ = write!(definitions[earlier].name.ident, "Layer{layer}");
        }
    }
}

/// What a declaration declares.
enum Declaration {
    Definition(Box<Definition>),
    /// A built-in type of this name.
    Builtin(String),
}

struct Parser<'p, 'a> {
    source: &'p Source<'a>,
    tokens: &'p [Spanned<'a>],
    dialect: Dialect,
    next: usize,
    problems: &'p mut Problems,
}

impl<'a> Parser<'_, 'a> {
    fn current(&self) -> Spanned<'a> {
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> Token<'a> {
        self.current().token
    }

    fn peek_at(&self, ahead: usize) -> Token<'a> {
        self.tokens.get(self.next + ahead).map_or(Token::End, |spanned| spanned.token)
    }

    fn advance(&mut self) -> Spanned<'a> {
        let spanned = self.current();
        self.next += 1;
        spanned
    }

    fn expected<T>(&mut self, what: &str) -> Found<T> {
        let found = self.current();
        let message = format!("expected {what}, found {}", found.token.describe());
        self.problems.error(self.source, found.start.min(self.source.text.len()), message);
        Err(Reported)
    }

    fn fail<T>(&mut self, at: usize, message: String) -> Found<T> {
        self.problems.error(self.source, at, message);
        Err(Reported)
    }

    fn accept(&mut self, symbol: char) -> bool {
        let found = self.peek() == Token::Symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn symbol(&mut self, symbol: char) -> Found<()> {
        if self.accept(symbol) { Ok(()) } else { self.expected(&format!("`{symbol}`")) }
    }

    /// Skips to the next definition: behind the next `;`, unless the offending token already begins a line; then a
    /// `;` was forgotten, and that line is a definition of its own. Never stays where it began, at token `start`.
    fn recover(&mut self, start: usize) {
        if self.next > start && self.begins_line() && self.looks_like_definition() {
            return;
        }
        loop {
            match self.peek() {
                Token::End | Token::Section(_) | Token::Layer(_) => return,
                Token::Symbol(';') => {
                    self.advance();
                    return;
                }
                _ => self.advance(),
            };
        }
    }

    fn begins_line(&self) -> bool {
        let before = self.tokens[self.next.min(self.tokens.len()) - 1];
        self.source.line_of(self.current().start) > self.source.line_of(before.start)
    }

    fn looks_like_definition(&self) -> bool {
        matches!(
            (self.peek(), self.peek_at(1)),
            (Token::Word(_), Token::Symbol('#' | '=' | '.') | Token::Word(_))
        )
    }

    /// A definition, or the declaration of a built-in type.
    fn declaration(&mut self, category: Category, layer: Option<i32>) -> Found<Declaration> {
        let (first, start) = (self.next, self.current().start);
        let name = self.name("the name of a definition")?;
        let given = self.given_id(self.tokens[self.next - 1].end)?;
        if self.is_builtin(&name) {
            self.skip_builtin()?;
            return Ok(Declaration::Builtin(name.ident));
        }
        let generics = self.generics()?;
        let mut params = Vec::new();
        while self.peek() != Token::Symbol('=') {
            params.push(self.parameter(&generics)?);
        }
        self.find_words(&mut params);
        self.symbol('=')?;
        let result = self.result(&generics)?;
        let text = self.text_of(&self.tokens[first..self.next]);
        self.symbol(';')?;
        let id = given.unwrap_or_else(|| id::compute_in(self.dialect, &text));
        let has_explicit_id = given.is_some();
        Ok(Declaration::Definition(Box::new(Definition {
            name,
            id,
            has_explicit_id,
            generics,
            params,
            result,
            category,
            layer,
            text,
            offset: start,
            index: 0,
        })))
    }

    /// Distinguishes flags words from numbers: a `#` is a word if a later parameter depends on it.
    fn find_words(&self, params: &mut [Parameter]) {
        for index in 0..params.len() {
            let (earlier, later) = params.split_at_mut(index + 1);
            let param = &mut earlier[index];
            let depends = |other: &Parameter| matches!(&other.kind, ParameterKind::Value { condition: Some(condition), .. } if condition.word == param.name);
            if matches!(param.kind, ParameterKind::Value { ty: Type::Nat, condition: None })
                && (later.iter().any(depends) || self.dialect.is_flags_word(&param.name))
            {
                param.kind = ParameterKind::Flags;
            }
        }
    }

    /// The source of some tokens without comments, on one line.
    fn text_of(&self, tokens: &[Spanned<'a>]) -> String {
        let mut text = String::new();
        let mut last_end = None;
        for spanned in tokens {
            if last_end.is_some_and(|end| spanned.start > end) {
                text.push(' ');
            }
            text.push_str(&self.source.text[spanned.start..spanned.end]);
            last_end = Some(spanned.end);
        }
        text
    }

    fn name(&mut self, what: &str) -> Found<Name> {
        let mut ident = self.ident(what)?.to_owned();
        let mut namespace: Option<String> = None;
        while self.accept('.') {
            let last = self.ident("a name after the dot")?.to_owned();
            let before = core::mem::replace(&mut ident, last);
            namespace = Some(match namespace {
                Some(outer) => format!("{outer}.{before}"),
                None => before,
            });
        }
        Ok(Name { namespace, ident })
    }

    fn ident(&mut self, what: &str) -> Found<&'a str> {
        match self.peek() {
            Token::Word(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.advance();
                Ok(word)
            }
            _ => self.expected(what),
        }
    }

    /// `#05162463`, directly after the name that ends at `name_end`.
    fn given_id(&mut self, name_end: usize) -> Found<Option<u32>> {
        let hash = self.current();
        if hash.token != Token::Symbol('#') || hash.start != name_end {
            return Ok(None);
        }
        self.advance();
        match self.peek() {
            Token::Word(digits) if digits.len() <= 8 && self.current().start == hash.end => {
                match u32::from_str_radix(digits, 16) {
                    Ok(id) => {
                        self.advance();
                        Ok(Some(id))
                    }
                    Err(_) => self.expected("an id of 1 to 8 hexadecimal digits"),
                }
            }
            _ => self.expected("an id of 1 to 8 hexadecimal digits"),
        }
    }

    /// `int ? = Int`, `int32 = Int32`, `int128 4*[ int ] = Int128`, `vector {t:Type} # [ t ] = Vector t`, and
    /// `bytes data:string = Bytes`, as TON has it.
    fn is_builtin(&self, name: &Name) -> bool {
        let is_result = |ahead| {
            let Token::Word(result) = self.peek_at(ahead) else { return false };
            name.namespace.is_none()
                && builtin::is_declaration(&name.ident, result)
                && self.peek_at(ahead + 1) == Token::Symbol(';')
        };
        match self.peek() {
            Token::Symbol('?') => true,
            Token::Symbol('=') => is_result(1),
            Token::Word("data") if name.ident == "bytes" => {
                self.peek_at(1) == Token::Symbol(':')
                    && self.peek_at(2) == Token::Word("string")
                    && self.peek_at(3) == Token::Symbol('=')
                    && is_result(4)
            }
            Token::Word(_) => self.peek_at(1) == Token::Symbol('*'),
            Token::Symbol('{') => self.peek_at(5) == Token::Symbol('#'),
            _ => false,
        }
    }

    fn skip_builtin(&mut self) -> Found<()> {
        while !matches!(self.peek(), Token::Symbol(';')) {
            if matches!(self.peek(), Token::End | Token::Section(_) | Token::Layer(_)) {
                return self.expected("`;`");
            }
            self.advance();
        }
        self.advance();
        Ok(())
    }

    fn generics(&mut self) -> Found<Vec<String>> {
        let mut generics = Vec::new();
        while self.accept('{') {
            generics.push(self.ident("a type parameter")?.to_owned());
            self.symbol(':')?;
            match self.peek() {
                Token::Word("Type") => self.advance(),
                _ => return self.expected("`Type`"),
            };
            self.symbol('}')?;
        }
        Ok(generics)
    }

    fn parameter(&mut self, generics: &[String]) -> Found<Parameter> {
        let name = self.ident("a parameter or `=`")?.to_owned();
        self.symbol(':')?;
        let condition = self.condition()?;
        let ty = self.ty(generics, 1)?;
        Ok(Parameter { name, kind: ParameterKind::Value { ty, condition } })
    }

    fn condition(&mut self) -> Found<Option<Condition>> {
        let ahead = (self.peek(), self.peek_at(1), self.peek_at(2), self.peek_at(3));
        let (Token::Word(word), Token::Symbol('.'), Token::Word(digits), Token::Symbol('?')) = ahead else {
            return Ok(None);
        };
        let at = self.tokens[self.next + 2].start;
        let bit = match digits.parse() {
            Ok(bit) if bit < 32 => bit,
            _ => return self.fail(at, format!("expected a bit from 0 to 31, found `{digits}`")),
        };
        self.next += 4;
        Ok(Some(Condition { word: word.to_owned(), bit }))
    }

    fn ty(&mut self, generics: &[String], depth: usize) -> Found<Type> {
        let start = self.current().start;
        if depth > MAX_DEPTH {
            return self
                .fail(start, format!("expected a type, found one that nests deeper than {MAX_DEPTH}"));
        }
        if self.accept('#') {
            return Ok(Type::Nat);
        }
        if self.accept('(') {
            let ty = self.ty(generics, depth + 1)?;
            self.symbol(')')?;
            return Ok(ty);
        }
        if self.accept('!') {
            let start = self.current().start;
            let name = self.ident("a type parameter after `!`")?.to_owned();
            if !generics.contains(&name) {
                let name = shortened(&name);
                return self.fail(start, format!("expected a type parameter after `!`, found `{name}`"));
            }
            return Ok(Type::Generic { name, call: true });
        }
        let percent = self.accept('%');
        if percent && self.accept('(') {
            let ty = self.ty(generics, depth + 1)?;
            self.symbol(')')?;
            return match ty {
                Type::Vector { element, boxed: true } => Ok(Type::Vector { element, boxed: false }),
                Type::Boxed(name) => Ok(Type::BareOf(name)),
                other => self.fail(start, format!("expected a boxed type after `%`, found `{other}`")),
            };
        }
        let start = self.current().start;
        let name = self.name("a type")?;
        let argument = if self.accept('<') {
            let argument = self.ty(generics, depth + 1)?;
            self.symbol('>')?;
            Some(argument)
        } else if self.takes_argument(&name) {
            Some(self.ty(generics, depth + 1)?)
        } else {
            None
        };
        self.resolve(start, percent, name, argument, generics)
    }

    /// Whether a vector is followed by the type of its elements: `Vector int`. What follows `x:Vector` in `x:Vector y:int` is the
    /// next parameter.
    fn takes_argument(&self, name: &Name) -> bool {
        let is_vector = name.namespace.is_none() && matches!(&*name.ident, "Vector" | "vector");
        let is_type = match self.peek() {
            Token::Word(_) => self.peek_at(1) != Token::Symbol(':'),
            Token::Symbol('%' | '(' | '!' | '#') => true,
            _ => false,
        };
        is_vector && is_type
    }

    fn result(&mut self, generics: &[String]) -> Found<Type> {
        let start = self.current().start;
        let ty = self.ty(generics, 1)?;
        match ty {
            Type::Boxed(_)
            | Type::Bool
            | Type::Object
            | Type::Vector { boxed: true, .. }
            | Type::Generic { .. } => Ok(ty),
            other => self.fail(start, format!("expected a boxed type as result, found `{other}`")),
        }
    }

    fn resolve(
        &mut self,
        start: usize,
        percent: bool,
        name: Name,
        argument: Option<Type>,
        generics: &[String],
    ) -> Found<Type> {
        let text = name.to_string();
        let ty = match (text.as_str(), argument) {
            ("Vector", Some(element)) => {
                return Ok(Type::Vector { element: Box::new(element), boxed: !percent });
            }
            ("vector", Some(element)) => {
                return Ok(Type::Vector { element: Box::new(element), boxed: false });
            }
            ("Vector" | "vector", None) => return self.expected("`<` and the type of the elements"),
            (_, Some(_)) => {
                return self
                    .fail(start, format!("expected a vector before `<`, found `{}`", shortened(&text)));
            }
            (_, None) if generics.contains(&text) => Type::Generic { name: text, call: false },
            ("int", None) => Type::Int,
            ("long", None) => Type::Long,
            ("double", None) => Type::Double,
            ("string", None) => Type::String,
            ("bytes", None) => Type::Bytes,
            ("int128", None) => Type::Int128,
            ("int256", None) => Type::Int256,
            ("true", None) => Type::True,
            ("Bool", None) => Type::Bool,
            (_, None) if percent => return Ok(Type::BareOf(name)),
            (_, None) if name.ident.starts_with(|c: char| c.is_ascii_lowercase()) => Type::Bare(name),
            (_, None) => Type::Boxed(name),
        };
        if percent {
            self.fail(start, format!("expected a boxed type after `%`, found `{ty}`"))
        } else {
            Ok(ty)
        }
    }
}
