//! The lexer: text to tokens, without comments.

use crate::diagnostic::{Diagnostic, Source};

/// A token of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Letters, digits and underscores: names, ids, numbers.
    Word(&'a str),
    /// `---types---` or `---functions---`, the word between the dashes.
    Section(&'a str),
    /// Anything else, a single character.
    Symbol(char),
    /// The end of the text.
    End,
}

impl Token<'_> {
    /// Formats the token for diagnostics.
    pub(crate) fn describe(self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Section(word) => format!("`---{word}---`"),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end of the file".to_owned(),
        }
    }
}

/// A token and its byte range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spanned<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A `LAYER n` comment: its number and where the comment begins.
pub(crate) struct LayerMark {
    pub(crate) layer: i32,
    pub(crate) offset: usize,
}

const SYMBOLS: &str = "#:;={}<>?.!%()[]*";

/// Splits the text into tokens; the last one is [`Token::End`].
pub(crate) fn tokenize<'a>(source: &Source<'a>) -> (Vec<Spanned<'a>>, Vec<LayerMark>, Vec<Diagnostic>) {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new(), layers: Vec::new(), problems: Vec::new() };
    while lexer.step() {}
    lexer.push(Token::End, 0);
    (lexer.tokens, lexer.layers, lexer.problems)
}

struct Lexer<'s, 'a> {
    source: &'s Source<'a>,
    at: usize,
    tokens: Vec<Spanned<'a>>,
    layers: Vec<LayerMark>,
    problems: Vec<Diagnostic>,
}

impl<'a> Lexer<'_, 'a> {
    fn rest(&self) -> &'a str {
        &self.source.text[self.at..]
    }

    fn push(&mut self, token: Token<'a>, len: usize) {
        self.tokens.push(Spanned { token, start: self.at, end: self.at + len });
        self.at += len;
    }

    /// Reads one token, comment or space; `false` at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return false };
        if first.is_whitespace() || first == '\u{feff}' {
            self.at += first.len_utf8();
        } else if let Some(comment) = rest.strip_prefix("//") {
            self.comment(comment.lines().next().unwrap_or_default(), 2, 0);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            self.block_comment(comment);
        } else if rest.starts_with("---") {
            self.section();
        } else if is_word(first) {
            let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            self.push(Token::Word(word), word.len());
        } else if SYMBOLS.contains(first) {
            self.push(Token::Symbol(first), 1);
        } else {
            self.problems.push(self.source.at(self.at, format!("`{first}` has no meaning in a schema")));
            self.at += first.len_utf8();
        }
        true
    }

    fn comment(&mut self, text: &str, opening: usize, closing: usize) {
        let words = text.trim_start_matches('/').trim();
        if let Some(layer) = words.strip_prefix("LAYER ").and_then(|number| number.trim().parse().ok()) {
            self.layers.push(LayerMark { layer, offset: self.at });
        }
        self.at += opening + text.len() + closing;
    }

    fn block_comment(&mut self, after: &'a str) {
        if let Some(len) = after.find("*/") {
            self.comment(&after[..len], 2, 2);
        } else {
            self.problems.push(
                self.source.at(self.at, "expected `*/` to end this comment, found the end of the file"),
            );
            self.at = self.source.text.len();
        }
    }

    fn section(&mut self) {
        let body = &self.rest()[3..];
        let word = &body[..body.find(|c| !is_word(c)).unwrap_or(body.len())];
        if matches!(word, "types" | "functions") && body[word.len()..].starts_with("---") {
            self.push(Token::Section(word), word.len() + 6);
        } else {
            self.problems.push(self.source.at(self.at, "expected `---types---` or `---functions---`"));
            self.at += 3 + body.find('\n').unwrap_or(body.len());
        }
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
