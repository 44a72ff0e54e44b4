//! Tables of text: columns as wide as their widest cell.

use std::io::{self, Write};

use anstyle::Style;

use super::DIM;

/// A cell of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    is_right: bool,
}

impl Cell {
    /// Makes a cell whose text begins at the left.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Makes a cell whose text ends at the right, for numbers.
    pub(crate) fn right(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_right: true, ..Self::default() }
    }

    /// Sets the colour.
    pub(crate) const fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn write(&self, width: usize, is_last: bool, out: &mut dyn Write) -> io::Result<()> {
        let gap = width.saturating_sub(self.width());
        let (before, after) = if self.is_right { (gap, 0) } else { (0, if is_last { 0 } else { gap }) };
        let style = self.style;
        write!(out, "{:before$}{style}{}{style:#}{:after$}", "", self.text, "")
    }
}

/// A table with a line of headings.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Makes a table without rows.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| Cell::new(*heading).styled(DIM)).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table, two spaces between columns.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column| self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    write!(out, "  ")?;
                }
                cell.write(widths[column], column + 1 == row.len(), out)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Table};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["name", "time"]);
        table.row([Cell::new("a µ"), Cell::right("1 ms")]);
        table.row([Cell::new("longer"), Cell::right("10 ms")]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        assert_eq!(String::from_utf8(text).unwrap(), "name    time\na µ      1 ms\nlonger  10 ms\n");
    }
}
