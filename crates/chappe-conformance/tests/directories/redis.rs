//! Keys in a real Redis.

use std::sync::Arc;
use std::time::Duration;

use chappe_server_redis::RedisDirectory;

use crate::contract::{Shared, has_all, holds, id, insert_through_crashes, permanent};
use crate::cut::Cut;
use crate::programs::Program;

async fn open(port: u16) -> Shared {
    let url = format!("redis://127.0.0.1:{port}/");
    Arc::new(RedisDirectory::connect(&url, "test").await.expect("it runs"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_redis_hold_the_contract() {
    let Some(program) = Program::redis() else { return };
    holds(&open(program.port()).await, &open(program.port()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_has_confirmed_survives_its_crashes() {
    let Some(mut program) = Program::redis() else { return };
    let directory = open(program.port()).await;
    let crash = async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        program.kill();
        program.start_again();
    };
    let confirmed = insert_through_crashes(&directory, crash).await;
    assert!(!confirmed.is_empty());
    has_all(&directory, &confirmed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_redis_is_asked_for_again() {
    let Some(program) = Program::redis() else { return };
    let cut = Cut::start(program.address());
    let directory = open(cut.port()).await;
    for number in 1..20 {
        cut.lose(1);
        assert!(directory.insert(permanent(number)).await.expect("it is asked again"), "it was inserted");
        assert!(cut.has_lost_all());
        cut.lose(1);
        assert!(directory.look_up(id(number)).await.expect("it is asked again").is_some());
    }
    has_all(&open(program.port()).await, &(1..20).collect::<Vec<_>>()).await;
}
