//! The lexer: text to tokens, without comments.

use crate::diagnostic::{Problems, Source};
use crate::model::Category;

/// A token of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Letters, digits and underscores: names, ids, numbers.
    Word(&'a str),
    /// `---types---` or `---functions---`.
    Section(Category),
    /// `===17===`: the definitions behind it are of this layer.
    Layer(i32),
    /// Anything else, a single character.
    Symbol(char),
    /// The end of the text.
    End,
}

impl Token<'_> {
    /// Formats the token for diagnostics.
    pub(crate) fn describe(self) -> String {
        match self {
            Token::Word(word) => format!("`{}`", shortened(word)),
            Token::Section(Category::Types) => "`---types---`".to_owned(),
            Token::Section(Category::Functions) => "`---functions---`".to_owned(),
            Token::Layer(layer) => format!("`==={layer}===`"),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end of the file".to_owned(),
        }
    }
}

/// Returns a word for a message, without its end if it is long.
pub(crate) fn shortened(word: &str) -> String {
    match word.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
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

/// Splits the text into tokens; the last one is [`Token::End`]. Stops after too many errors.
pub(crate) fn tokenize<'a>(
    source: &Source<'a>,
    problems: &mut Problems,
) -> (Vec<Spanned<'a>>, Vec<LayerMark>) {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new(), layers: Vec::new(), problems };
    while !lexer.problems.is_full() && lexer.step() {}
    lexer.push(Token::End, 0);
    (lexer.tokens, lexer.layers)
}

struct Lexer<'s, 'a> {
    source: &'s Source<'a>,
    at: usize,
    tokens: Vec<Spanned<'a>>,
    layers: Vec<LayerMark>,
    problems: &'s mut Problems,
}

impl<'a> Lexer<'_, 'a> {
    fn rest(&self) -> &'a str {
        &self.source.text[self.at..]
    }

    fn push(&mut self, token: Token<'a>, len: usize) {
        self.tokens.push(Spanned { token, start: self.at, end: self.at + len });
        self.at += len;
    }

    fn error(&mut self, message: impl Into<String>) {
        self.problems.error(self.source, self.at, message);
    }

    /// Reads one token, comment or space; `false` at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return false };
        if first.is_whitespace() {
            self.at += first.len_utf8();
        } else if let Some(comment) = rest.strip_prefix("//") {
            self.comment(comment.lines().next().unwrap_or_default(), 2, 0);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            self.block_comment(comment);
        } else if rest.starts_with("---") {
            self.section();
        } else if let Some(behind) = rest.strip_prefix("===") {
            self.layer(behind);
        } else if is_word(first) {
            let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            self.push(Token::Word(word), word.len());
        } else if SYMBOLS.contains(first) {
            self.push(Token::Symbol(first), 1);
        } else {
            self.error(format!("`{first}` has no meaning in a schema"));
            self.at += first.len_utf8();
        }
        true
    }

    fn comment(&mut self, text: &str, opening: usize, closing: usize) {
        if let Some(layer) = layer_of(text) {
            self.layers.push(LayerMark { layer, offset: self.at });
        }
        self.at += opening + text.len() + closing;
    }

    fn block_comment(&mut self, after: &'a str) {
        if let Some(len) = after.find("*/") {
            self.comment(&after[..len], 2, 2);
        } else {
            self.error("expected `*/` to end this comment, found the end of the file");
            self.at = self.source.text.len();
        }
    }

    fn section(&mut self) {
        let body = &self.rest()[3..];
        let sections = [("types---", Category::Types), ("functions---", Category::Functions)];
        if let Some((word, category)) = sections.into_iter().find(|(word, _)| body.starts_with(word)) {
            self.push(Token::Section(category), 3 + word.len());
        } else {
            self.error("expected `---types---` or `---functions---`");
            self.at += 3 + body.find('\n').unwrap_or(body.len());
        }
    }

    fn layer(&mut self, behind: &str) {
        let digits = &behind[..behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len())];
        match digits.parse() {
            Ok(layer) if behind[digits.len()..].starts_with("===") => {
                self.push(Token::Layer(layer), digits.len() + 6);
            }
            _ => {
                self.error("expected `===N===` with the number of a layer");
                self.at += 3 + behind.find('\n').unwrap_or(behind.len());
            }
        }
    }
}

/// `LAYER 230`, `Layer:  121`. Comments such as `layer 23` stand in front of parts of a schema.
fn layer_of(comment: &str) -> Option<i32> {
    let words = comment.trim_start_matches('/').trim();
    let number = words.strip_prefix("LAYER ").or_else(|| {
        let (word, number) = words.split_once(':')?;
        word.eq_ignore_ascii_case("layer").then_some(number)
    });
    number?.trim().parse().ok()
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
