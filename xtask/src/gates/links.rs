//! Links between the documents: each file and each heading that a page points to exists.

use std::collections::BTreeSet;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{Context, Verdict};
use crate::shell;

/// Follows every relative link of every checked-in page, anchors included.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let root = context.workspace.root();
    let pages = pages(root, &context.shell)?;
    let mut broken = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(root.join(page))?;
        let folder = root.join(page).with_file_name("");
        for target in targets(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { root.join(page) } else { folder.join(path) };
            let is_page = file.extension().is_some_and(|extension| extension == "md");
            if !file.exists() {
                broken.push(format!("{} points to {target}, which is not there", page.display()));
            } else if !anchor.is_empty() && is_page && !anchors(&fs::read_to_string(&file)?).contains(anchor)
            {
                broken.push(format!("{} points to {target}, which has no such heading", page.display()));
            }
        }
    }
    for line in &broken {
        context.shell.say(line)?;
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    Ok(Verdict::Passed(format!("{} pages", pages.len())))
}

/// Returns the Markdown files that git knows or would add.
fn pages(root: &Path, shell: &shell::Shell) -> Result<Vec<PathBuf>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]);
    let listed = shell.read(&mut git)?;
    Ok(listed.lines().map(PathBuf::from).filter(|page| root.join(page).is_file()).collect())
}

/// Returns the relative link targets of a page, with their anchors.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    links.filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(['`', ' ', '<']))
}

/// Returns the anchors of a page: those of its headings, as GitHub and mdbook make them, and those of `<a id="…">`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if line.starts_with('#') && !is_code {
            let name = slug(line.trim_start_matches('#').trim());
            let numbered = (1..).map(|number| format!("{name}-{number}"));
            let mut names = iter::once(name.clone()).chain(numbered);
            anchors.extend(names.find(|name| !anchors.contains(name)));
        }
        let explicit = line.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"'));
        anchors.extend(explicit.map(|(name, _)| name.to_owned()));
    }
    anchors
}

/// Returns the anchor of a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' '));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[cfg(test)]
mod checks {
    use super::{anchors, targets};

    #[test]
    fn other_sites_are_no_targets() {
        let text = "[a](docs/a.md#x) [b](https://example.org) [c](#here) [d](../d)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["docs/a.md#x", "#here", "../d"]);
    }

    #[test]
    fn headings_and_explicit_anchors_are_found() {
        let page =
            "# The `no_std` proof, twice\n```sh\n# not a heading\n```\n## A\n## A\n<a id=\"sec-1\"></a>SEC-1";
        let expected = ["a", "a-1", "sec-1", "the-no_std-proof-twice"];
        assert_eq!(anchors(page).into_iter().collect::<Vec<_>>(), expected);
    }
}
