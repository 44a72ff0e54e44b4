//! Horizontal bars in panels, drawn with plotters, readable on a light and on a dark background.

use anyhow::{Result, anyhow};
use plotters::prelude::{IntoDrawingArea as _, PathElement, RGBColor, Rectangle, SVGBackend, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, TextStyle};

/// A panel: a title above its bars.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
    /// A value that a vertical line marks.
    pub(super) mark: Option<f64>,
}

/// One bar from zero to `value`, with `text` behind it.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) spread: Option<(f64, f64)>,
    pub(super) text: String,
    pub(super) role: Role,
}

/// What a bar stands for, which decides its colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Ours,
    Peer,
    /// What the machine allows.
    Limit,
}

// All sizes are in pixels of an image that pages scale to their width.
const WIDTH: i32 = 980;
const MARGIN: i32 = 16;
const TITLE: i32 = 30;
const ROW: i32 = 24;
const GAP: i32 = 18;
const LABEL: i32 = 220;
/// Space behind the longest bar for its text.
const TEXT: i32 = 70;

const BACKGROUND: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const OURS: RGBColor = RGBColor(9, 105, 218);
const PEER: RGBColor = RGBColor(140, 149, 159);
const LIMIT: RGBColor = RGBColor(191, 135, 0);

/// The same colours where the reader prefers dark pages. Rules of a style sheet override attributes of elements.
const DARK: &str = "<style>@media (prefers-color-scheme: dark) {\
 rect[fill=\"#FFFFFF\"] { fill: #161b22; }\
 rect[fill=\"#0969DA\"] { fill: #4493f8; }\
 rect[fill=\"#8C959F\"] { fill: #656d76; }\
 rect[fill=\"#BF8700\"] { fill: #9e6a03; }\
 polyline { stroke: #e6edf3; }\
 text { fill: #e6edf3; } }</style>";

/// Returns an image with the charts in so many columns.
pub(super) fn svg(charts: &[Chart], columns: usize) -> Result<String> {
    let height =
        |row: &[Chart]| TITLE + ROW * row.iter().map(|chart| chart.bars.len() as i32).max().unwrap_or(0);
    let total = MARGIN + charts.chunks(columns).map(|row| height(row) + GAP).sum::<i32>();
    let mut image = String::new();
    {
        let backend = SVGBackend::with_string(&mut image, (WIDTH.unsigned_abs(), total.unsigned_abs()));
        let root = backend.into_drawing_area();
        let put = Canvas { root: &root };
        put.rectangle((0, 0), (WIDTH, total), BACKGROUND)?;
        let width = (WIDTH - MARGIN) / columns as i32;
        let mut top = MARGIN;
        for row in charts.chunks(columns) {
            for (column, chart) in row.iter().enumerate() {
                put.chart(chart, (MARGIN + width * column as i32, top), width - MARGIN)?;
            }
            top += height(row) + GAP;
        }
        root.present().map_err(|error| anyhow!("cannot draw: {error}"))?;
    }
    // Behind the end of the opening tag.
    let at = image.find("xmlns").and_then(|at| image[at..].find('>').map(|end| at + end + 1)).unwrap_or(0);
    image.insert_str(at, DARK);
    Ok(image)
}

type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

struct Canvas<'a, 'b> {
    root: &'a Area<'b>,
}

impl Canvas<'_, '_> {
    fn chart(&self, chart: &Chart, (left, top): (i32, i32), width: i32) -> Result<()> {
        self.text(&chart.title, (left, top + 4), HPos::Left, 18.0)?;
        let start = left + LABEL;
        let ends = chart.bars.iter().map(|bar| bar.spread.map_or(bar.value, |(_, high)| high.max(bar.value)));
        let longest = ends.fold(0.0, f64::max);
        let scale = f64::from(width - LABEL - TEXT) / longest.max(f64::MIN_POSITIVE);
        let x = |value: f64| start + (value * scale).round() as i32;
        for (row, bar) in chart.bars.iter().enumerate() {
            let y = top + TITLE + ROW * row as i32;
            let middle = y + ROW / 2 - 2;
            self.text(&bar.label, (start - 8, middle), HPos::Right, 15.5)?;
            self.rectangle((start, y), (x(bar.value).max(start + 1), y + ROW - 6), colour(bar.role))?;
            if let Some((low, high)) = bar.spread {
                self.line((x(low), middle), (x(high), middle))?;
            }
            let end = x(bar.spread.map_or(bar.value, |(_, high)| high.max(bar.value)));
            self.text(&bar.text, (end + 6, middle), HPos::Left, 15.5)?;
        }
        if let Some(mark) = chart.mark {
            let bottom = top + TITLE + ROW * chart.bars.len() as i32;
            self.line((x(mark), top + TITLE - 4), (x(mark), bottom))?;
        }
        Ok(())
    }

    fn rectangle(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Result<()> {
        let drawn = self.root.draw(&Rectangle::new([from, to], colour.filled()));
        drawn.map_err(|error| anyhow!("cannot draw: {error}"))
    }

    fn line(&self, from: (i32, i32), to: (i32, i32)) -> Result<()> {
        let drawn = self.root.draw(&PathElement::new([from, to], INK.stroke_width(1)));
        drawn.map_err(|error| anyhow!("cannot draw: {error}"))
    }

    fn text(&self, text: &str, at: (i32, i32), side: HPos, size: f64) -> Result<()> {
        let style =
            TextStyle::from(("sans-serif", size).into_font()).color(&INK).pos(Pos::new(side, VPos::Center));
        let drawn = self.root.draw(&Text::new(text.to_owned(), at, style));
        drawn.map_err(|error| anyhow!("cannot draw: {error}"))
    }
}

const fn colour(role: Role) -> RGBColor {
    match role {
        Role::Ours => OURS,
        Role::Peer => PEER,
        Role::Limit => LIMIT,
    }
}
