//! Links between the documents: what a page points to must be there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{Context, Verdict};
use crate::shell;

/// Follows every relative link of every checked-in page.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let root = context.workspace.root();
    let pages = pages(root, &context.shell)?;
    let mut broken = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(root.join(page))?;
        let folder = root.join(page).with_file_name("");
        for target in targets(&text).filter(|target| !folder.join(target).exists()) {
            broken.push(format!("{} points to {target}, which is not there", page.display()));
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

/// Returns the relative link targets of a page, without anchors.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let own = links.filter(|target| !target.contains("://") && !target.contains(['`', ' ', '<']));
    own.map(|target| target.split_once('#').map_or(target, |(path, _)| path)).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod checks {
    use super::targets;

    #[test]
    fn anchors_and_other_sites_are_no_files() {
        let text = "[a](docs/a.md#x) [b](https://example.org) [c](#here) [d](../d)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["docs/a.md", "../d"]);
    }
}
