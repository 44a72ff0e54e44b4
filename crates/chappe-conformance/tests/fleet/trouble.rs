//! What may happen to a fleet.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use crate::balancer::Balancer;
use crate::clients::{Caller, Outcome, PATIENCE, name_of};
use crate::process::{Process, Setup, executions};
use crate::programs::{Folder, Program};

/// Three processes behind one address, and clients that call.
struct World {
    setup: Setup,
    balancer: Balancer,
    processes: Vec<Process>,
    callers: Vec<Caller>,
    _folder: Folder,
}

const CALLERS: usize = 4;

impl World {
    fn start(redis: &Program, lease: Duration) -> Self {
        let folder = Folder::new("fleet");
        let setup = Setup { redis: redis.port(), lease, log: folder.path().join("log") };
        let processes: Vec<_> = (0..3).map(|_| Process::start(&setup)).collect();
        let balancer = Balancer::start();
        let mut world = Self { setup, balancer, processes, callers: Vec::new(), _folder: folder };
        world.balance();
        let numbers = Arc::new(AtomicU32::new(1));
        world.callers = (0..CALLERS).map(|_| Caller::start(&world.balancer, &numbers)).collect();
        world.wait_for_calls(20);
        world
    }

    fn balance(&self) {
        self.balancer.set(self.processes.iter().map(|process| process.address).collect());
    }

    /// Waits until so many further queries were executed.
    fn wait_for_calls(&self, count: usize) {
        let executed = || executions(&self.setup.log).len();
        let (deadline, before) = (Instant::now() + PATIENCE, executed());
        while executed() < before + count {
            assert!(Instant::now() < deadline, "the fleet does not go on");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Replaces the first process, which `end` ends.
    fn replace(&mut self, end: impl FnOnce(Process)) {
        let ended = self.processes.remove(0);
        self.processes.push(Process::start(&self.setup));
        // The balancer finds out by itself which one is gone.
        end(ended);
        self.balance();
    }

    /// Asserts what is guaranteed: nothing ran twice, and what was answered ran.
    fn end(self) -> Vec<Outcome> {
        let outcomes: Vec<_> = self.callers.into_iter().map(Caller::end).collect();
        let executed = executions(&self.setup.log);
        let twice: Vec<_> = executed.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "executed twice: {twice:?}");
        for outcome in &outcomes {
            let lost: Vec<_> =
                outcome.answered.iter().filter(|number| !executed.contains_key(number)).collect();
            assert!(lost.is_empty(), "answered and not executed: {lost:?}");
        }
        outcomes
    }
}

fn failed(outcomes: &[Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.failed.len()).sum()
}

#[test]
fn nothing_is_lost_or_runs_twice_while_processes_are_drained() {
    let Some(redis) = Program::redis() else { return };
    let mut world = World::start(&redis, Duration::from_secs(20));
    for _ in 0..4 {
        world.replace(Process::drain);
        world.wait_for_calls(20);
    }
    let outcomes = world.end();
    assert_eq!(failed(&outcomes), 0, "a process that is drained loses no call");
}

#[test]
fn nothing_runs_twice_while_processes_are_killed_and_paused() {
    let Some(redis) = Program::redis() else { return };
    let mut world = World::start(&redis, Duration::from_secs(2));
    for _ in 0..3 {
        world.replace(Process::kill);
        world.wait_for_calls(20);
    }
    // A process that is paused past its lease finds its sessions gone.
    world.processes[0].signal("-STOP");
    world.wait_for_calls(20);
    thread::sleep(Duration::from_secs(3));
    world.processes[0].signal("-CONT");
    world.wait_for_calls(20);
    world.end();
}

#[test]
fn a_store_that_is_gone_for_ten_seconds_loses_nothing() {
    let Some(mut redis) = Program::redis() else { return };
    let world = World::start(&redis, Duration::from_secs(20));
    redis.kill();
    thread::sleep(Duration::from_secs(10));
    redis.start_again();
    world.wait_for_calls(20);
    let outcomes = world.end();
    assert_eq!(failed(&outcomes), 0, "sessions stay with their owners");
}

#[test]
fn an_update_from_any_process_comes_at_least_once_whoever_dies() {
    let Some(redis) = Program::redis() else { return };
    let mut world = World::start(&redis, Duration::from_secs(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    // A process that serves nobody publishes.
    let publisher = runtime.block_on(world.setup.engine());
    let name = name_of(world.callers[0].client());
    for number in 0..60_u32 {
        let update = [0x7777_7777_u32.to_le_bytes(), number.to_le_bytes()].concat();
        let published = runtime.block_on(publisher.publish(name, &update));
        published.expect("Redis runs");
        if number % 20 == 10 {
            world.replace(Process::kill);
        }
    }
    world.wait_for_calls(20);
    let outcomes = world.end();
    let missing: Vec<_> = (0..60).filter(|number| !outcomes[0].updates.contains(number)).collect();
    assert!(missing.is_empty(), "lost updates: {missing:?} of {:?}", outcomes[0].updates);
    assert!(outcomes[1].updates.is_empty(), "of another session");
}
