//! Links of rendered pages: the file that one points to is there, and the anchor too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

/// What was found.
pub(super) struct Checked {
    /// Number of links to pages, anchors and files of the book.
    pub(super) links: usize,
    /// A line for each that leads nowhere.
    pub(super) broken: Vec<String>,
}

/// Pages that mdbook makes of all others, or that have links for the root of a site only.
const GENERATED: &[&str] = &["print.html", "404.html", "toc.html"];

/// Follows every link of every page below `book`.
pub(super) fn check(book: &Path) -> Result<Checked> {
    let mut pages = BTreeMap::new();
    read(book, &PathBuf::new(), &mut pages)?;
    let anchors: BTreeMap<&PathBuf, BTreeSet<String>> =
        pages.iter().map(|(path, text)| (path, attributes(text, " id=\"").collect())).collect();
    let mut checked = Checked { links: 0, broken: Vec::new() };
    for (page, text) in &pages {
        if page.to_str().is_some_and(|name| GENERATED.contains(&name)) {
            continue;
        }
        for link in attributes(text, " href=\"").chain(attributes(text, " src=\"")) {
            if is_foreign(&link) {
                continue;
            }
            checked.links += 1;
            if !leads_somewhere(book, page, &link, &anchors) {
                checked.broken.push(format!("{} points to {link}, which is not there", page.display()));
            }
        }
    }
    Ok(checked)
}

fn read(book: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(book.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read(book, &path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(book.join(&path))?;
            pages.insert(path, text);
        }
    }
    Ok(())
}

/// Returns the values of an attribute, given as ` name="`.
fn attributes<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    text.split(name)
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(value, _)| value.replace("&amp;", "&"))
}

fn is_foreign(link: &str) -> bool {
    link.is_empty()
        || link == "#"
        || link.contains("://")
        || link.starts_with("data:")
        || link.starts_with("mailto:")
}

fn leads_somewhere(
    book: &Path,
    page: &Path,
    link: &str,
    anchors: &BTreeMap<&PathBuf, BTreeSet<String>>,
) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let place = if path.is_empty() { page.to_owned() } else { resolved(&page.with_file_name("").join(path)) };
    match anchors.get(&place) {
        Some(ids) => anchor.is_empty() || ids.contains(anchor),
        None => anchor.is_empty() && book.join(&place).exists(),
    }
}

/// Removes `.` and `..` from a path.
fn resolved(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(result.pop()),
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn a_missing_page_and_a_missing_anchor_are_found() {
        let folder = std::env::temp_dir().join(format!("chappe-book-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).expect("a folder can be made");
        let index =
            "<a href=\"sub/a.html#one\"></a><a href=\"sub/a.html#two\"></a><a href=\"gone.html\"></a>";
        fs::write(folder.join("index.html"), index).expect("a file can be written");
        fs::write(folder.join("sub/a.html"), "<h1 id=\"one\"><a href=\"../index.html\"></a></h1>")
            .expect("a file can be written");
        let checked = check(&folder).expect("the pages can be read");
        fs::remove_dir_all(&folder).expect("the folder can be removed");
        assert_eq!(checked.links, 4);
        assert_eq!(
            checked.broken,
            [
                "index.html points to sub/a.html#two, which is not there",
                "index.html points to gone.html, which is not there"
            ]
        );
    }
}
