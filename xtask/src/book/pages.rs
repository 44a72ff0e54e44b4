//! The pages as mdbook takes them: a copy of `docs/` whose links to other folders lead to the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The table of contents.
const SUMMARY: &str = "SUMMARY.md";

/// Copies `docs` to `to` and returns the number of pages. `repository` stands in front of paths outside of `docs`.
pub(super) fn stage(docs: &Path, to: &Path, repository: &str) -> Result<usize> {
    let mut files = BTreeSet::new();
    collect(docs, Path::new(""), &mut files)?;
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| is_page(file)) {
        pages.insert(file.as_path(), fs::read_to_string(docs.join(file))?);
    }
    let summary = pages.remove(Path::new(SUMMARY)).context("there is no docs/SUMMARY.md")?;
    let summary = completed(&summary, &pages);
    let listed: BTreeSet<&Path> = links(&summary).map(Path::new).collect();
    let missing: Vec<_> = pages.keys().filter(|page| !listed.contains(**page)).collect();
    ensure!(missing.is_empty(), "docs/SUMMARY.md leaves out {missing:?}");
    for file in &files {
        let place = to.join(file);
        fs::create_dir_all(place.with_file_name(""))?;
        match pages.get(file.as_path()) {
            Some(text) => fs::write(place, rewritten(text, file, repository))?,
            None => drop(fs::copy(docs.join(file), place)?),
        }
    }
    fs::write(to.join(SUMMARY), summary)?;
    Ok(pages.len())
}

/// Returns the table of contents with the pages of a folder listed below the folder's `README.md`.
fn completed(summary: &str, pages: &BTreeMap<&Path, String>) -> String {
    let mut result = String::new();
    for line in summary.lines() {
        result.push_str(line);
        result.push('\n');
        let Some(head) = links(line).map(Path::new).find(|path| path.ends_with("README.md")) else {
            continue;
        };
        for (page, text) in pages.iter().filter(|(page, _)| page.parent() == head.parent() && **page != head)
        {
            let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
            _ = writeln!(result, "  - [{title}]({})", page.display());
        }
    }
    result
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

fn collect(docs: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(docs.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(docs, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension != "txt") {
            // The snapshots of the API are texts for reviews, not pages.
            files.insert(path);
        }
    }
    Ok(())
}

/// Returns the targets of the links of a page.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// Returns the page with links that leave `docs` pointed at the repository.
fn rewritten(text: &str, page: &Path, repository: &str) -> String {
    let mut parts = text.split("](");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str("](");
        let (target, rest) = part.split_at(part.find(')').unwrap_or(0));
        match outside(target, page) {
            Some(path) => _ = write!(result, "{repository}{path}"),
            None => result.push_str(target),
        }
        result.push_str(rest);
    }
    result
}

/// Returns the path from the root of the repository if `target`, seen from `page`, lies outside of `docs`.
fn outside(target: &str, page: &Path) -> Option<String> {
    if !target.contains("../") || target.contains("://") {
        return None;
    }
    let mut place: Vec<String> = vec!["docs".to_owned()];
    for part in page.with_file_name("").join(target).components() {
        match part {
            Component::ParentDir => drop(place.pop()?),
            Component::Normal(name) => place.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    (place.first().map(String::as_str) != Some("docs")).then(|| place.join("/"))
}

#[cfg(test)]
mod checks {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::{completed, outside, rewritten};

    #[test]
    fn the_pages_of_a_folder_stand_below_its_readme() {
        let page = |path| (Path::new(path), "# Title\n\nText".to_owned());
        let pages = BTreeMap::from([page("decisions/README.md"), page("decisions/0001.md"), page("net.md")]);
        assert_eq!(
            completed("- [All](decisions/README.md)\n- [Net](net.md)", &pages),
            "- [All](decisions/README.md)\n  - [Title](decisions/0001.md)\n- [Net](net.md)\n"
        );
    }

    #[test]
    fn links_that_leave_the_book_lead_to_the_repository() {
        assert_eq!(outside("../README.md#two", Path::new("net.md")), Some("README.md#two".to_owned()));
        assert_eq!(outside("../security.md", Path::new("decisions/0001.md")), None);
        assert_eq!(outside("../../xtask", Path::new("decisions/0001.md")), Some("xtask".to_owned()));
        assert_eq!(outside("https://example.org/../x", Path::new("net.md")), None);
        assert_eq!(
            rewritten("[a](../xtask) and [b](net.md)", Path::new("net.md"), "https://host/"),
            "[a](https://host/xtask) and [b](net.md)"
        );
    }
}
