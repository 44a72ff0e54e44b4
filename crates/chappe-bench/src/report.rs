//! The tables: targets with their verdict, then what was measured.

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    harness::{Group, Spread},
    machine,
};

/// What a ratio must keep to.
#[derive(Clone, Copy)]
pub enum Bound {
    /// The ratio of times must not be above.
    AtMost(f64),
    /// Ours must be so many times as fast.
    AtLeast(f64),
}

/// One target and what came of it.
pub struct Row {
    target: &'static str,
    work: String,
    bound: Bound,
    measured: Spread,
}

/// Everything a suite found out.
pub struct Report {
    title: &'static str,
    peers: &'static [&'static str],
    notes: &'static str,
    rows: Vec<Row>,
    groups: Vec<Group>,
}

impl Report {
    /// An empty report. `peers` are packages whose version is told; `notes` stand above the tables.
    pub fn new(title: &'static str, peers: &'static [&'static str], notes: &'static str) -> Self {
        Self { title, peers, notes, rows: Vec::new(), groups: Vec::new() }
    }

    /// Notes a target by the ratio that [`Bound`] means.
    pub fn target(&mut self, target: &'static str, work: impl Into<String>, bound: Bound, measured: Spread) {
        self.rows.push(Row { target, work: work.into(), bound, measured });
    }

    /// Keeps what was measured, for the tables below.
    pub fn group(&mut self, group: Group) {
        self.groups.push(group);
    }

    /// Replaces the section of this suite and this build in docs/performance.md.
    ///
    /// # Errors
    ///
    /// Fails if the file or the markers are not there.
    pub fn write(&self, suite: &str) -> Result<()> {
        let build = if machine::is_native() { "native" } else { "default" };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let begin = format!("<!-- begin {suite} {build} -->\n");
        let end = format!("<!-- end {suite} {build} -->");
        let at = |marker: &str| text.find(marker).with_context(|| format!("no marker {}", marker.trim()));
        let (begin_at, end_at) = (at(&begin)? + begin.len(), at(&end)?);
        ensure!(begin_at <= end_at, "the markers are in the wrong order");
        let text = format!("{}\n{self}\n{}", &text[..begin_at], &text[end_at..]);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { median, low, high } = self.measured;
        let (bound, is_met, value, from, to) = match self.bound {
            Bound::AtMost(most) => (format!("at most {most:.2}"), median <= most, median, low, high),
            Bound::AtLeast(least) => {
                let (value, from, to) = (1.0 / median, 1.0 / high, 1.0 / low);
                (format!("at least {least:.2}"), value >= least, value, from, to)
            }
        };
        let verdict = if is_met { "met" } else { "**missed**" };
        let (target, work) = (self.target, &self.work);
        writeln!(f, "| {target} | {work} | {bound} | {value:.3} | {from:.3} to {to:.3} | {verdict} |")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n\n{}\n{}", self.title, machine::describe(self.peers), self.notes)?;
        writeln!(f, "| target | work | bound | measured | spread | verdict |\n|---|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| row.fmt(f))?;
        for group in &self.groups {
            writeln!(f, "\n#### {}\n\n| case | ns | spread | rate |\n|---|---|---|---|", group.title)?;
            for sample in group.samples() {
                let Spread { median, low, high } = sample.nanos();
                let name = &sample.name;
                writeln!(f, "| {name} | {median:.0} | {low:.0} to {high:.0} | {} |", sample.rate())?;
            }
        }
        Ok(())
    }
}
