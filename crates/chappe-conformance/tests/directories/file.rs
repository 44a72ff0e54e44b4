//! Keys in a file, and the crash of the process that writes it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use chappe_server::directory::{DirectoryError, FileDirectory};

use crate::contract::{Shared, has_all, holds, permanent};
use crate::programs::Folder;

/// Names the file that the process writes until it is killed.
const VICTIM: &str = "CHAPPE_TEST_FILE_VICTIM";

fn open(path: &Path) -> Shared {
    Arc::new(FileDirectory::open(path).expect("no other process has it"))
}

#[tokio::test]
async fn keys_in_a_file_hold_the_contract_and_one_process_has_it() {
    let folder = Folder::new("file");
    let path = folder.path().join("keys");
    let directory = FileDirectory::open(&path).expect("a new file");
    assert!(matches!(FileDirectory::open(&path), Err(DirectoryError::Unavailable(_))), "it is in use");
    let shared: Shared = Arc::new(directory.clone());
    holds(&shared, &(Arc::new(directory) as Shared)).await;
    assert!(shared.insert(permanent(1)).await.expect("it answers"));
    drop(shared);
    has_all(&open(&path), &[1]).await;
}

#[tokio::test]
async fn what_a_file_has_confirmed_survives_a_kill_at_any_point() {
    if let Some(path) = std::env::var_os(VICTIM) {
        let directory = open(&PathBuf::from(path));
        for number in 1.. {
            assert!(directory.insert(permanent(number)).await.expect("it answers"));
            println!("\nconfirmed {number}");
        }
    }
    let folder = Folder::new("killed");
    // The number of lines that are read before the kill moves it through the steps of a change.
    for kept in 1..12 {
        let path = folder.path().join(format!("keys{kept}"));
        let itself = std::env::current_exe().expect("a test program");
        let mut victim = Command::new(itself)
            .args(["--exact", "file::what_a_file_has_confirmed_survives_a_kill_at_any_point", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
        let numbers = lines.map_while(Result::ok);
        let mut numbers = numbers.filter_map(|line| line.strip_prefix("confirmed ")?.parse().ok());
        let mut confirmed: Vec<u32> = numbers.by_ref().take(kept * 3).collect();
        victim.kill().expect("it runs");
        confirmed.extend(numbers);
        victim.wait().expect("it was killed");
        assert!(confirmed.len() >= kept * 3);
        has_all(&open(&path), &confirmed).await;
    }
}
