//! Keys in a real PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chappe_server_postgres::PostgresDirectory;

use crate::contract::{LOST, Shared, asks_again, has_all, holds, survives_crashes};
use crate::cut::Cut;
use crate::programs::Program;

async fn open(port: u16) -> Shared {
    let config = format!("host=127.0.0.1 port={port} user=chappe dbname=postgres");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // It accepts connections before it is ready.
        match PostgresDirectory::connect(&config).await {
            Ok(directory) => return Arc::new(directory),
            Err(error) => assert!(Instant::now() < deadline, "it does not start: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_postgres_hold_the_contract() {
    let Some(program) = Program::postgres() else { return };
    holds(&open(program.port()).await, &open(program.port()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_has_confirmed_survives_its_crashes() {
    let Some(mut program) = Program::postgres() else { return };
    survives_crashes(&open(program.port()).await, &mut program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_postgres_is_asked_for_again() {
    let Some(program) = Program::postgres() else { return };
    let cut = Cut::start(program.address());
    asks_again(&open(cut.port()).await, &cut).await;
    has_all(&open(program.port()).await, &LOST.collect::<Vec<_>>()).await;
}
