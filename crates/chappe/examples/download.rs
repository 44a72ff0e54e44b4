//! Downloads a file, several parts at the same time over several connections.
//!
//! ```sh
//! cargo run --release --example download
//! ```
//!
//! The server is the embedded datacenter, which is given a file of 32 MiB first. Ends with status 0 if every byte came
//! back.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use chappe::api::{enums, functions::upload, types};
use chappe::loopback::Loopback;
use chappe::net::tokio::start;
use chappe::net::{DataCenter, InvokeOptions, Lane, Transfer};

const FILE: i64 = 1794;
const PART: usize = 1 << 20;
const PARTS: usize = 32;

#[tokio::main]
async fn main() -> Result<()> {
    let server = Loopback::start()?;
    let datacenter = DataCenter::new(start, server.connect_options());
    upload_file(&datacenter).await?;

    let start = Instant::now();
    // Eight parts are under way at any time, in whatever order they come; they are handed out in order.
    let mut transfer = Transfer::new(8);
    let mut numbers = 0..PARTS;
    let mut received = 0;
    while received < PARTS {
        while transfer.has_room()
            && let Some(number) = numbers.next()
        {
            let client = datacenter.client(Lane::Download).await?;
            transfer.push(client.invoke(&part(number)));
        }
        let Some(answer) = transfer.recv().await else { break };
        let answer = answer?;
        let enums::upload::File::File(file) = answer.get() else { bail!("{answer:?} is no file") };
        ensure!(file.bytes == content(received), "part {received} is as it was sent");
        received += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{PARTS} MiB in {seconds:.2} s: {:.0} MiB/s", f64::from(PARTS as u32) / seconds);
    ensure!(received == PARTS, "the whole file came");
    datacenter.close().await;
    Ok(())
}

fn content(part: usize) -> Vec<u8> {
    (0..PART).map(|place| (place * 31 + part * 7) as u8).collect()
}

/// Sends the file in parts of 512 KiB, the largest that are taken.
async fn upload_file(datacenter: &DataCenter) -> Result<()> {
    let client = datacenter.client(Lane::Upload).await?;
    let file_total_parts = 2 * PARTS as i32;
    for number in 0..PARTS {
        for (half, bytes) in content(number).chunks(PART / 2).enumerate() {
            let file_part = (2 * number + half) as i32;
            let call = upload::SaveBigFilePart { file_id: FILE, file_part, file_total_parts, bytes };
            ensure!(client.invoke_with(&call, &InvokeOptions::default().unpacked()).await?, "it is kept");
        }
    }
    Ok(())
}

/// Where the file lies.
const LOCATION: types::InputDocumentFileLocation<'static> =
    types::InputDocumentFileLocation { id: FILE, access_hash: 0, file_reference: &[], thumb_size: "" };

fn part(number: usize) -> upload::GetFile<'static> {
    upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: enums::InputFileLocation::InputDocumentFileLocation(&LOCATION),
        offset: (number * PART) as i64,
        limit: PART as i32,
    }
}
