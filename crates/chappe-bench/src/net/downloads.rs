//! Parts of a file, one and eight at a time, and how much of that is cryptography.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chappe_crypto::rand_core::Rng as _;
use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    EncryptedHeader, EncryptedWriter, FrameBuf, MessageHeader, MsgId, Padding, SeqNo, ServerSalt, SessionId,
    TransportTail, open,
};
use chappe_net::{Client, InvokeOptions, PendingCall, blocking};
use chappe_tl::Serializable as _;
use chappe_tl_api::{enums, functions, types};

use super::datacenter::Datacenter;
use crate::harness::{Group, Settings};
use crate::report::Report;

const FILE: i64 = 7;
const PART: usize = 1 << 20;
const PARTS: usize = 16;

/// Measures downloads.
pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let datacenter = Datacenter::start()?;
    let client = blocking::connect(datacenter.options())?;
    upload(&client)?;
    let mut one = Vec::new();
    let mut eight = Vec::new();
    let mut crypto = Vec::new();
    for _ in 0..settings.rounds() {
        one.push(download(&client, 1)?);
        eight.push(download(&client, 8)?);
        crypto.push(decrypt()?);
    }
    report.group(Group::of(
        "Downloads: parts of 1 MiB",
        vec![
            ("one at a time".into(), one),
            ("eight at a time".into(), eight),
            ("decrypting one part, alone".into(), crypto),
        ],
    ));
    Ok(())
}

/// Content that no server packs, as that of most files: what packing takes would hide what sending takes.
fn upload(client: &Client) -> Result<()> {
    let mut content = Drbg::from_seed([3; 32]);
    for part in 0..2 * PARTS {
        let mut bytes = vec![0; PART / 2];
        content.fill_bytes(&mut bytes);
        let call = functions::upload::SaveBigFilePart {
            file_id: FILE,
            file_part: part as i32,
            file_total_parts: 2 * PARTS as i32,
            bytes: &bytes,
        };
        client.invoke_with(&call, &InvokeOptions::default().unpacked()).wait()?;
    }
    Ok(())
}

fn part(number: usize) -> Vec<u8> {
    let location =
        types::InputDocumentFileLocation { id: FILE, access_hash: 0, file_reference: &[], thumb_size: "" };
    let call = functions::upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: enums::InputFileLocation::InputDocumentFileLocation(&location),
        offset: (number * PART) as i64,
        limit: PART as i32,
    };
    call.to_bytes()
}

/// Nanoseconds per part.
fn download(client: &Client, at_once: usize) -> Result<f64> {
    let options = InvokeOptions::default();
    let start = Instant::now();
    let mut pending: VecDeque<PendingCall<Vec<u8>>> = VecDeque::new();
    let mut bytes = 0;
    for number in 0..PARTS {
        if pending.len() == at_once {
            bytes += pending.pop_front().context("it is full")?.wait()?.len();
        }
        pending.push_back(client.invoke_bytes(&part(number), &options));
    }
    for call in pending {
        bytes += call.wait()?.len();
    }
    ensure!(bytes >= PARTS * PART, "whole parts came: {bytes}");
    Ok(start.elapsed().as_nanos() as f64 / PARTS as f64)
}

/// Nanoseconds that opening one part takes.
fn decrypt() -> Result<f64> {
    let key = AuthKey::from_bytes([7; 256]);
    let mut rng = Drbg::from_seed([1; 32]);
    let mut frame = FrameBuf::new();
    let mut writer = EncryptedWriter::begin(&mut frame);
    writer.body().append(&vec![7; PART]);
    let header = EncryptedHeader {
        salt: ServerSalt::from_raw(1),
        session_id: SessionId::from_raw(1),
        message: MessageHeader { msg_id: MsgId::from_raw(1), seq_no: SeqNo::from_raw(1) },
    };
    writer.seal(&key, Side::Server, header, Padding::Minimum, &mut rng)?;
    let start = Instant::now();
    open(&key, Side::Server, TransportTail::None, frame.as_mut_slice())?;
    Ok(start.elapsed().as_nanos() as f64)
}
