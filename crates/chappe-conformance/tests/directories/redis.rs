//! Keys in a real Redis.

use std::sync::Arc;

use chappe_server_redis::RedisDirectory;

use crate::contract::{LOST, Shared, asks_again, has_all, holds, survives_crashes};
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
    survives_crashes(&open(program.port()).await, &mut program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_redis_is_asked_for_again() {
    let Some(program) = Program::redis() else { return };
    let cut = Cut::start(program.address());
    asks_again(&open(cut.port()).await, &cut).await;
    has_all(&open(program.port()).await, &LOST.collect::<Vec<_>>()).await;
}
