//! A disk that is cut off after any of its steps, and the changes of a store on it.
//!
//! It keeps what POSIX promises and nothing more. After a power cut each change of a name that was not synced has happened
//! or not, whatever became of the others, and of a file that was not synced a part is there.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::Disk;
use super::steps::{keep_aside, make_directory, remove, replace};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

type Names = BTreeMap<PathBuf, Node>;

/// What was written to a file, and how much of that survives a power cut for sure.
#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

/// A change of names in one directory that was not synced.
#[derive(Clone)]
struct Change {
    directory: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Node)>,
}

impl Change {
    fn apply(self, names: &mut Names) {
        self.removed.map(|path| names.remove(&path));
        self.added.map(|(path, node)| names.insert(path, node));
    }
}

/// What happens when the steps are used up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process is killed: nothing works any more.
    Killed,
    /// One step fails, as on a full disk. Those after it work.
    Refused,
}

#[derive(Clone)]
struct State {
    names: Names,
    durable: Names,
    pending: Vec<Change>,
    files: Vec<Content>,
    steps_left: usize,
    end: End,
    has_links: bool,
}

#[derive(Clone)]
struct Simulated(Arc<Mutex<State>>);

struct SimulatedFile(Simulated, usize);

impl Simulated {
    fn new() -> Self {
        let root: Names = [(PathBuf::from("/"), Node::Directory)].into();
        Self(Arc::new(Mutex::new(State {
            names: root.clone(),
            durable: root,
            pending: Vec::new(),
            files: Vec::new(),
            steps_left: usize::MAX,
            end: End::Killed,
            has_links: true,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    /// Returns a disk in the same state that ends after so many steps.
    fn ending(&self, steps_left: usize, end: End) -> Self {
        Self(Arc::new(Mutex::new(State { steps_left, end, ..self.state().clone() })))
    }

    /// Takes one step.
    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.steps_left == 0 {
            if state.end == End::Refused {
                state.steps_left = usize::MAX;
            }
            return Err(io::Error::other("cut off"));
        }
        state.steps_left -= 1;
        Ok(state)
    }

    /// Returns every disk that a power cut may leave.
    fn after_power_cut(&self) -> Vec<Self> {
        let state = self.state();
        let mut outcomes = Vec::new();
        for kept in 0_u32..1 << state.pending.len() {
            for part in 0..3 {
                let mut names = state.durable.clone();
                for (place, change) in state.pending.iter().enumerate() {
                    if kept >> place & 1 == 1 {
                        change.clone().apply(&mut names);
                    }
                }
                // What lies in a directory that is gone is gone with it.
                let all = names.clone();
                names.retain(|path, _| path.ancestors().all(|above| all.contains_key(above)));
                let mut files = state.files.clone();
                for file in &mut files {
                    let len = file.synced + (file.bytes.len() - file.synced) * part / 2;
                    file.bytes.truncate(len);
                    file.synced = len;
                }
                let (durable, pending) = (names.clone(), Vec::new());
                let steps_left = usize::MAX;
                let state = State { names, durable, pending, files, steps_left, ..state.clone() };
                outcomes.push(Self(Arc::new(Mutex::new(state))));
            }
        }
        outcomes
    }

    /// Returns the disk as it is for the next process, and every disk that a power cut may leave.
    fn outcomes(&self) -> Vec<Self> {
        let mut outcomes = self.after_power_cut();
        outcomes.push(self.ending(usize::MAX, End::Killed));
        outcomes
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        match state.names.get(Path::new(path))? {
            Node::File(file) => Some(state.files[*file].bytes.clone()),
            Node::Directory => panic!("it is a directory"),
        }
    }

    fn change(state: &mut State, change: Change) {
        change.clone().apply(&mut state.names);
        state.pending.push(change);
    }

    fn add(&self, path: &Path, node: impl FnOnce(&mut State) -> Node) -> io::Result<()> {
        let mut state = self.step()?;
        let directory = path.parent().expect("it has a parent").to_owned();
        if state.names.get(&directory) != Some(&Node::Directory) {
            return Err(ErrorKind::NotFound.into());
        }
        if state.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let added = Some((path.to_owned(), node(&mut state)));
        Self::change(&mut state, Change { directory, removed: None, added });
        Ok(())
    }

    fn node(state: &State, path: &Path) -> io::Result<Node> {
        state.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Disk for Simulated {
    type File = SimulatedFile;

    fn exists(&self, path: &Path) -> bool {
        self.state().names.contains_key(path)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.add(path, |_| Node::Directory)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let (synced, pending) =
            std::mem::take(&mut state.pending).into_iter().partition(|change| change.directory == path);
        state.pending = pending;
        Vec::into_iter(synced).for_each(|change| change.apply(&mut state.durable));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<SimulatedFile> {
        let mut place = 0;
        self.add(path, |state| {
            place = state.files.len();
            state.files.push(Content::default());
            Node::File(place)
        })?;
        Ok(SimulatedFile(self.clone(), place))
    }

    fn sync(&self, file: &SimulatedFile) -> io::Result<()> {
        let mut state = self.step()?;
        let file = &mut state.files[file.1];
        file.synced = file.bytes.len();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let node = Self::node(&state, from)?;
        let directory = to.parent().expect("it has a parent").to_owned();
        let change = Change { directory, removed: Some(from.to_owned()), added: Some((to.to_owned(), node)) };
        Self::change(&mut state, change);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = {
            let state = self.state();
            if !state.has_links {
                return Err(ErrorKind::Unsupported.into());
            }
            Self::node(&state, from)?
        };
        self.add(to, |_| node)
    }

    fn copy(&self, from: &Path, to: &mut SimulatedFile) -> io::Result<()> {
        let bytes = {
            let state = self.step()?;
            match Self::node(&state, from)? {
                Node::File(file) => state.files[file].bytes.clone(),
                Node::Directory => return Err(ErrorKind::InvalidInput.into()),
            }
        };
        to.write_all(&bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        Self::node(&state, path)?;
        let directory = path.parent().expect("it has a parent").to_owned();
        Self::change(&mut state, Change { directory, removed: Some(path.to_owned()), added: None });
        Ok(())
    }
}

impl Write for SimulatedFile {
    /// Writes a half at a time, so that a file is cut off in its middle too.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.step()?;
        let count = bytes.len().div_ceil(2);
        state.files[self.1].bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const DIRECTORY: &str = "/simulated/keys";
const KEY: &str = "/simulated/keys/production-2-account.key";
const NEW: &str = "/simulated/keys/production-2-account.new";
const ASIDE: &str = "/simulated/keys/production-2-account.damaged-1";
const OLD: &[u8] = b"the old state";
const STATE: &[u8] = b"the state that follows it";

/// Steps after which each change below has ended.
const MOST_STEPS: usize = 40;

/// A disk that has a store with a state.
fn saved() -> Simulated {
    let disk = Simulated::new();
    make_directory(&disk, Path::new(DIRECTORY)).expect("nothing is in the way");
    replace(&disk, Path::new(KEY), OLD).expect("nothing is in the way");
    disk
}

/// Runs `change` on disks that end after each number of steps, in both ways, and shows what it returned and left.
fn cut_off<T>(
    disk: &Simulated,
    change: impl Fn(&Simulated) -> Result<T, super::StoreError>,
    mut check: impl FnMut(bool, End, &Simulated),
) {
    let mut has_succeeded = false;
    for end in [End::Killed, End::Refused] {
        for steps in 0..MOST_STEPS {
            let disk = disk.ending(steps, end);
            let is_done = change(&disk).is_ok();
            has_succeeded |= is_done && steps + 1 < MOST_STEPS;
            check(is_done, end, &disk);
        }
    }
    assert!(has_succeeded, "it ends within so many steps");
}

#[test]
fn a_save_leaves_the_old_state_or_the_new_one_whatever_step_was_the_last() {
    let save = |disk: &Simulated| replace(disk, Path::new(KEY), STATE);
    cut_off(&saved(), save, |is_done, end, disk| {
        for mut left in disk.outcomes() {
            let found = left.read(KEY).expect("a state");
            assert!(found == STATE || found == OLD && !is_done, "{found:?}");
            // The next run saves as if nothing had happened.
            left = left.ending(usize::MAX, End::Killed);
            save(&left).expect("nothing is in the way");
            for left in left.after_power_cut() {
                assert_eq!(left.read(KEY).as_deref(), Some(STATE));
            }
        }
        if end == End::Refused {
            assert_eq!(disk.read(NEW), None, "a key lies about");
        }
    });
}

#[test]
fn the_first_state_of_a_new_directory_survives_a_power_cut() {
    let begin = |disk: &Simulated| {
        make_directory(disk, Path::new(DIRECTORY))?;
        replace(disk, Path::new(KEY), STATE)
    };
    cut_off(&Simulated::new(), begin, |is_done, _, disk| {
        for left in disk.outcomes() {
            let found = left.read(KEY);
            assert!(found.as_deref() == Some(STATE) || found.is_none() && !is_done, "{found:?}");
            // Directories that are there already may not have been synced.
            begin(&left).expect("nothing is in the way");
            for left in left.after_power_cut() {
                assert_eq!(left.read(KEY).as_deref(), Some(STATE));
            }
        }
    });
}

#[test]
fn a_state_that_is_kept_aside_is_never_lost() {
    for has_links in [true, false] {
        let disk = saved();
        disk.state().has_links = has_links;
        let set_aside = |disk: &Simulated| {
            keep_aside(disk, Path::new(KEY), std::iter::once(PathBuf::from(ASIDE)))?;
            replace(disk, Path::new(KEY), STATE)
        };
        cut_off(&disk, set_aside, |is_done, _, disk| {
            for left in disk.outcomes() {
                let (key, aside) = (left.read(KEY).expect("a state"), left.read(ASIDE));
                assert!(key == STATE || key == OLD && !is_done, "{key:?}");
                assert!(key == OLD || aside.as_deref() == Some(OLD), "{aside:?}");
            }
        });
    }
}

#[test]
fn a_state_that_is_removed_leaves_no_key_behind() {
    let disk = saved();
    // A run ended while it wrote.
    let torn = disk.ending(4, End::Killed);
    replace(&torn, Path::new(KEY), STATE).expect_err("it was killed");
    let torn = torn.ending(usize::MAX, End::Killed);
    assert!(torn.read(NEW).is_some(), "there is something to remove");
    cut_off(
        &torn,
        |disk| remove(disk, Path::new(KEY)),
        |is_done, _, disk| {
            for left in disk.outcomes() {
                let found = left.read(KEY);
                assert!(found.as_deref() == Some(OLD) && !is_done || found.is_none(), "{found:?}");
                assert!(!is_done || left.read(NEW).is_none(), "a key lies about");
            }
        },
    );
}
