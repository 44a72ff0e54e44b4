//! Text in the format of `rustfmt`.

/// Maximum length of a line, as in `rustfmt.toml`.
const MAX_WIDTH: usize = 110;

/// Lines of code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    text: String,
}

impl Code {
    /// Adds a line, indented by `depth` levels.
    pub(crate) fn line(&mut self, depth: usize, text: &str) {
        self.text.extend(core::iter::repeat_n("    ", depth));
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Adds an empty line.
    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Adds `open`, `items` separated by commas, `close`; on one line if it fits, otherwise one item per line.
    ///
    /// `pad` stands between brackets and items on one line: a space for braces, nothing for others.
    pub(crate) fn list(&mut self, depth: usize, open: &str, pad: &str, items: &[String], close: &str) {
        let whole = format!("{open}{pad}{}{pad}{close}", items.join(", "));
        if fits(depth, &whole) || items.is_empty() {
            return self.line(depth, &whole);
        }
        // A value that fits a line of its own gets one.
        if let Some((left, bracket)) = open.rsplit_once(" = ") {
            let value = format!("{bracket}{pad}{}{pad}{close}", items.join(", "));
            if fits(depth + 1, &value) {
                self.line(depth, &format!("{left} ="));
                return self.line(depth + 1, &value);
            }
        }
        self.line(depth, open);
        for item in items {
            self.line(depth + 1, &format!("{item},"));
        }
        self.line(depth, close);
    }

    /// Adds a sum; on one line if it fits, otherwise one term per line.
    pub(crate) fn sum(&mut self, depth: usize, terms: &[String]) {
        let whole = terms.join(" + ");
        if fits(depth, &whole) {
            return self.line(depth, &whole);
        }
        // A number in front does not get a line of its own.
        let lead = terms.iter().position(|term| term.len() > 4).unwrap_or_default() + 1;
        self.line(depth, &terms[..lead].join(" + "));
        for term in &terms[lead..] {
            self.line(depth + 1, &format!("+ {term}"));
        }
    }

    /// Adds the first line of an implementation of a trait.
    pub(crate) fn impl_for(&mut self, depth: usize, of: &str, ty: &str) {
        let whole = format!("impl{of} for {ty} {{");
        if fits(depth, &whole) {
            return self.line(depth, &whole);
        }
        self.line(depth, &format!("impl{of}"));
        self.line(depth + 1, &format!("for {ty}"));
        self.line(depth, "{");
    }

    /// Adds other lines.
    pub(crate) fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

fn fits(depth: usize, text: &str) -> bool {
    depth * 4 + text.len() <= MAX_WIDTH
}

/// A number as clippy likes to read it: `0x0516_2463`.
pub(crate) fn hex(id: u32) -> String {
    format!("0x{:04x}_{:04x}", id >> 16, id & 0xffff)
}
