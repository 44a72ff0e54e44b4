//! The calls, and what they took.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use chappe::api::{enums, functions, types};
use chappe::crypto::rng::Drbg;
use chappe::mtproto;
use rand_core::Rng as _;

use crate::args::Target;
use crate::key::shown;
use crate::tunnel::Tunnel;

/// Round trips that are measured.
const PINGS: usize = 100;

/// Salts asked for.
const SALTS: i32 = 32;

/// Length of the file that goes there and back, in bytes.
const FILE_LEN: usize = 1 << 20;

/// Longest part of an upload, in bytes.
const PART_LEN: usize = 512 << 10;

/// `help.getConfig`.
pub(crate) fn configuration(tunnel: &mut Tunnel, target: &Target, rng: &mut Drbg) -> Result<()> {
    let begun = Instant::now();
    let config = tunnel.call(functions::help::GetConfig {}, rng)?;
    let config = config.get();
    let took = begun.elapsed();
    let addresses = config.dc_options.len();
    let told = format!("this_dc {} of {addresses} addresses, test_mode {}", config.this_dc, config.test_mode);
    line("help.getConfig", &told, took);
    ensure!(config.this_dc == i32::from(target.dc.number()), "it is not datacenter {}", target.dc.number());
    Ok(())
}

/// `ping`, often enough for a median.
pub(crate) fn round_trips(tunnel: &mut Tunnel, rng: &mut Drbg) -> Result<()> {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let ping_id = rng.next_u64() as i64;
        let begun = Instant::now();
        let mtproto::enums::Pong::Pong(pong) = tunnel.ask(&mtproto::functions::Ping { ping_id }, rng)?;
        times.push(begun.elapsed());
        ensure!(pong.ping_id == ping_id, "pong {} for ping {ping_id}", pong.ping_id);
    }
    times.sort_unstable();
    let told = format!("{PINGS} round trips, the fastest {}, half within", shown(times[0]));
    line("ping", &told, times[PINGS / 2]);
    Ok(())
}

/// `get_future_salts`.
pub(crate) fn salts(tunnel: &mut Tunnel, rng: &mut Drbg) -> Result<()> {
    let begun = Instant::now();
    let call = mtproto::functions::GetFutureSalts { num: SALTS };
    let mtproto::enums::FutureSalts::FutureSalts(answer) = tunnel.ask(&call, rng)?;
    let took = begun.elapsed();
    let salts = &answer.salts.0;
    ensure!(!salts.is_empty(), "no salts");
    let until = salts.iter().map(|salt| salt.valid_until).max().unwrap_or(answer.now);
    let told = format!("{} salts, enough for {} h", salts.len(), (until - answer.now) / 3600);
    line("get_future_salts", &told, took);
    Ok(())
}

/// A file there and back.
pub(crate) fn files(tunnel: &mut Tunnel, rng: &mut Drbg) -> Result<()> {
    let file_id = rng.next_u64() as i64;
    let mut file = vec![0; FILE_LEN];
    rng.fill_bytes(&mut file);

    let begun = Instant::now();
    for (file_part, part) in (0..).zip(file.chunks(PART_LEN)) {
        let call = functions::upload::SaveFilePart { file_id, file_part, bytes: part };
        ensure!(tunnel.call(call, rng)?, "part {file_part} was not saved");
    }
    transferred("upload.saveFilePart", FILE_LEN, begun.elapsed());

    let document =
        types::InputDocumentFileLocation { id: file_id, access_hash: 0, file_reference: &[], thumb_size: "" };
    let location = enums::InputFileLocation::InputDocumentFileLocation(&document);
    let (offset, limit) = (0, FILE_LEN as i32);
    let call = functions::upload::GetFile { precise: false, cdn_supported: false, location, offset, limit };
    let begun = Instant::now();
    let answer = tunnel.call(call, rng)?;
    transferred("upload.getFile", FILE_LEN, begun.elapsed());
    let enums::upload::File::File(answer) = answer.get() else { bail!("the file lies elsewhere") };
    ensure!(answer.bytes == file, "the file came back changed");
    Ok(())
}

fn transferred(name: &str, bytes: usize, took: Duration) {
    let rate = f64::from(bytes as u32) / f64::from(1 << 20) / took.as_secs_f64();
    line(name, &format!("{} KiB, {rate:.0} MiB/s", bytes >> 10), took);
}

fn line(name: &str, told: &str, took: Duration) {
    println!("  {name:<20} {told:<70} {:>9}", shown(took));
}
