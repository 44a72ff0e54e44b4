//! A call beside strangers who make the server decrypt noise.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chappe_crypto::Side;
use chappe_crypto::rand_core::Rng as _;
use chappe_crypto::{factorize, rng::Drbg};
use chappe_framing::{FrameBuf, MsgIdGenerator, MsgOrigin, PlainMessage, UnixTime, write_plain_bytes};
use chappe_tl::{Deserializable as _, Serializable as _};
use chappe_tl_mtproto::{enums, functions};

use super::rig::{Client, Running};
use crate::harness::{Group, Settings, Spread};
use crate::report::{Bound, Report};

/// Strangers, each with a connection.
const STRANGERS: usize = 64;

/// Bytes that they send in a second, together.
const RATE: f64 = 150.0 * 1024.0;

/// Calls whose slowest hundredth is looked at.
const CALLS: usize = 400;

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let running = Running::start()?;
    let address = running.address();
    let mut client = Client::connect(address)?;
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds().clamp(3, 5) {
        quiet.push(slow_call(&mut client)?);
        let is_over = AtomicBool::new(false);
        let slow = thread::scope(|scope| {
            for _ in 0..STRANGERS {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        // A refused stranger comes again.
                        let _ = make_noise(address, &is_over);
                    }
                });
            }
            thread::sleep(Duration::from_secs(1));
            let slow = slow_call(&mut client);
            is_over.store(true, Ordering::Relaxed);
            slow
        })?;
        beside.push(slow);
    }
    let ratios = quiet.iter().zip(&beside).map(|(quiet, beside)| beside / quiet).collect();
    let work = "p99 of a call beside 64 strangers that send noise / the quiet one";
    report.target("strangers", work, Bound::AtMost(3.0), Spread::of(ratios));
    let cases = vec![("quiet".into(), quiet), ("beside 64 strangers".into(), beside)];
    report.group(Group::of("Strangers: the slowest of a hundred calls", cases));
    Ok(())
}

/// Nanoseconds that the slowest hundredth of calls takes at least.
fn slow_call(client: &mut Client) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        times.push(client.call()?);
        thread::sleep(Duration::from_millis(2));
    }
    times.sort_unstable();
    let slow = times.get(CALLS * 99 / 100).context("there were calls")?;
    Ok(slow.as_nanos() as f64)
}

/// Sends `req_pq_multi`, then `req_DH_params` with noise, as often as the rate allows, until the server ends the connection.
fn make_noise(address: SocketAddr, is_over: &AtomicBool) -> Result<()> {
    let mut rng = Drbg::from_os()?;
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.write_all(&[0xee; 4])?;
    let mut ids = MsgIdGenerator::new();
    let (begun, mut sent) = (Instant::now(), 0.0);
    while !is_over.load(Ordering::Relaxed) {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        sent += send(&mut socket, &mut ids, &functions::ReqPqMulti { nonce }.to_bytes())?;
        let mut len = [0; 4];
        socket.read_exact(&mut len)?;
        let mut frame = vec![0; (u32::from_le_bytes(len) as usize).min(1 << 16)];
        socket.read_exact(&mut frame)?;
        let message = PlainMessage::new_checked(&frame, Side::Server)?;
        let enums::ResPq::ResPq(answer) = enums::ResPq::from_bytes(message.body())?;
        let (p, q) = factorize::from_bytes(&answer.pq)?;
        let mut encrypted_data = vec![0; 256];
        rng.fill_bytes(&mut encrypted_data);
        encrypted_data[0] &= 0x7f;
        let request = functions::ReqDhParams {
            nonce,
            server_nonce: answer.server_nonce,
            p: (p as u32).to_be_bytes().to_vec(),
            q: (q as u32).to_be_bytes().to_vec(),
            public_key_fingerprint: answer.server_public_key_fingerprints[0],
            encrypted_data,
        };
        sent += send(&mut socket, &mut ids, &request.to_bytes())?;
        let due = Duration::from_secs_f64(sent / (RATE / STRANGERS as f64));
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Returns how many bytes that were.
fn send(socket: &mut TcpStream, ids: &mut MsgIdGenerator, object: &[u8]) -> Result<f64> {
    let mut frame = FrameBuf::new();
    write_plain_bytes(&mut frame, ids.next(UnixTime::now(), MsgOrigin::Client), object)?;
    let len = (frame.len() as u32).to_le_bytes();
    socket.write_all(&[&len, frame.as_slice()].concat())?;
    Ok((frame.len() + 4) as f64)
}
