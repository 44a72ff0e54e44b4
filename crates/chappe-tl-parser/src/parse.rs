//! The parser: tokens to definitions. After an error it continues with the next definition.

use crate::diagnostic::{Diagnostic, Source};
use crate::id;
use crate::lexer::{Spanned, Token};
use crate::model::{Category, Condition, Definition, Name, Parameter, ParameterKind, Type};

/// Marks that a diagnostic was reported.
struct Reported;

type Parsed<T> = Result<T, Reported>;

/// Parses all definitions and their offsets.
pub(crate) fn parse_tokens<'a>(
    source: &Source<'a>,
    tokens: &[Spanned<'a>],
    problems: &mut Vec<Diagnostic>,
) -> Vec<Definition> {
    let mut parser = Parser { source, tokens, next: 0, problems };
    let mut category = Category::Types;
    let mut definitions = Vec::new();
    loop {
        let start = parser.next;
        match parser.peek() {
            Token::End => return definitions,
            Token::Section(word) => {
                category = if word == "types" { Category::Types } else { Category::Functions };
                parser.advance();
            }
            _ => match parser.declaration(category) {
                Ok(definition) => definitions.extend(definition),
                Err(Reported) => parser.recover(start),
            },
        }
    }
}

struct Parser<'p, 'a> {
    source: &'p Source<'a>,
    tokens: &'p [Spanned<'a>],
    next: usize,
    problems: &'p mut Vec<Diagnostic>,
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

    fn expected<T>(&mut self, what: &str) -> Parsed<T> {
        let found = self.current();
        let message = format!("expected {what}, found {}", found.token.describe());
        self.problems.push(self.source.at(found.start.min(self.source.text.len()), message));
        Err(Reported)
    }

    fn fail<T>(&mut self, at: usize, message: String) -> Parsed<T> {
        self.problems.push(self.source.at(at, message));
        Err(Reported)
    }

    fn accept(&mut self, symbol: char) -> bool {
        let found = self.peek() == Token::Symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn symbol(&mut self, symbol: char) -> Parsed<()> {
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
                Token::End | Token::Section(_) => return,
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

    /// A definition, or `None` for a built-in one.
    fn declaration(&mut self, category: Category) -> Parsed<Option<Definition>> {
        let (first, start) = (self.next, self.current().start);
        let name = self.name("the name of a definition")?;
        let given = self.given_id(self.tokens[self.next - 1].end)?;
        if self.is_builtin() {
            return self.skip_builtin();
        }
        let generics = self.generics()?;
        let mut params = Vec::new();
        while self.peek() != Token::Symbol('=') {
            params.push(self.parameter(&generics)?);
        }
        self.symbol('=')?;
        let result = self.result(&generics)?;
        let text = self.text_of(&self.tokens[first..self.next]);
        self.symbol(';')?;
        let id = given.unwrap_or_else(|| id::compute(&text));
        let has_explicit_id = given.is_some();
        Ok(Some(Definition {
            name,
            id,
            has_explicit_id,
            generics,
            params,
            result,
            category,
            text,
            offset: start,
        }))
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

    fn name(&mut self, what: &str) -> Parsed<Name> {
        let first = self.ident(what)?;
        if self.peek() != Token::Symbol('.') {
            return Ok(Name { namespace: None, ident: first.to_owned() });
        }
        self.advance();
        let ident = self.ident("a name after the dot")?;
        Ok(Name { namespace: Some(first.to_owned()), ident: ident.to_owned() })
    }

    fn ident(&mut self, what: &str) -> Parsed<&'a str> {
        match self.peek() {
            Token::Word(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.advance();
                Ok(word)
            }
            _ => self.expected(what),
        }
    }

    /// `#05162463`, directly after the name that ends at `name_end`.
    fn given_id(&mut self, name_end: usize) -> Parsed<Option<u32>> {
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

    /// `int ? = Int`, `int128 4*[ int ] = Int128`, `vector {t:Type} # [ t ] = Vector t`
    fn is_builtin(&self) -> bool {
        match self.peek() {
            Token::Symbol('?') => true,
            Token::Word(_) => self.peek_at(1) == Token::Symbol('*'),
            Token::Symbol('{') => self.peek_at(5) == Token::Symbol('#'),
            _ => false,
        }
    }

    fn skip_builtin<T>(&mut self) -> Parsed<Option<T>> {
        while !matches!(self.peek(), Token::Symbol(';')) {
            if matches!(self.peek(), Token::End | Token::Section(_)) {
                return self.expected("`;`");
            }
            self.advance();
        }
        self.advance();
        Ok(None)
    }

    fn generics(&mut self) -> Parsed<Vec<String>> {
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

    fn parameter(&mut self, generics: &[String]) -> Parsed<Parameter> {
        let name = self.ident("a parameter or `=`")?.to_owned();
        self.symbol(':')?;
        if self.accept('#') {
            return Ok(Parameter { name, kind: ParameterKind::Flags });
        }
        let condition = self.condition()?;
        let ty = self.ty(generics)?;
        Ok(Parameter { name, kind: ParameterKind::Value { ty, condition } })
    }

    fn condition(&mut self) -> Parsed<Option<Condition>> {
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

    fn ty(&mut self, generics: &[String]) -> Parsed<Type> {
        if self.accept('(') {
            let ty = self.application(generics)?;
            self.symbol(')')?;
            return Ok(ty);
        }
        if self.accept('!') {
            let start = self.current().start;
            let name = self.ident("a type parameter after `!`")?.to_owned();
            if !generics.contains(&name) {
                return self.fail(start, format!("expected a type parameter after `!`, found `{name}`"));
            }
            return Ok(Type::Generic { name, call: true });
        }
        let percent = self.accept('%');
        let start = self.current().start;
        let name = self.name("a type")?;
        let argument = if self.accept('<') {
            let argument = self.ty(generics)?;
            self.symbol('>')?;
            Some(argument)
        } else {
            None
        };
        self.resolve(start, percent, name, argument, generics)
    }

    /// `T a` as in results and inside parentheses; the argument may be missing.
    fn application(&mut self, generics: &[String]) -> Parsed<Type> {
        let start = self.current().start;
        let takes_argument = matches!(self.peek_at(1), Token::Word(_) | Token::Symbol('%' | '(' | '!'));
        if !takes_argument || !matches!(self.peek(), Token::Word("Vector" | "vector")) {
            return self.ty(generics);
        }
        let name = self.name("a type")?;
        let argument = self.ty(generics)?;
        self.resolve(start, false, name, Some(argument), generics)
    }

    fn result(&mut self, generics: &[String]) -> Parsed<Type> {
        let start = self.current().start;
        let ty = self.application(generics)?;
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
    ) -> Parsed<Type> {
        let text = name.to_string();
        let ty = match (text.as_str(), argument) {
            ("Vector", Some(element)) => {
                return Ok(Type::Vector { element: Box::new(element), boxed: !percent });
            }
            ("vector", Some(element)) => {
                return Ok(Type::Vector { element: Box::new(element), boxed: false });
            }
            ("Vector" | "vector", None) => return self.expected("`<` and the type of the elements"),
            (_, Some(_)) => return self.fail(start, format!("expected a vector before `<`, found `{text}`")),
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
