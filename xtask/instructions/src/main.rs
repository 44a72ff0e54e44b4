//! `instructions BY WORK TURNS`: does a piece of work on 16 KiB that often, for an emulator that counts instructions.
//!
//! `BY` is `chappe` or `rustcrypto`. What differs between two numbers of turns is the work itself.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use aes::Aes256;
use chappe_crypto::{AuthKey, MsgKey, Side, ctr::Ctr, ige as chappe_ige, kdf, message};
use cipher::{
    Array, BlockCipherEncrypt as _, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyInit as _,
    KeyIvInit as _,
};
use sha2::{Digest as _, Sha256};

const KEY: [u8; 32] = [1; 32];
const IV: [u8; 32] = [2; 32];
const LEN: usize = 16 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, by, work, turns] = arguments.as_slice() else { return ExitCode::FAILURE };
    let Some(work) = find(by, work) else { return ExitCode::FAILURE };
    let Ok(turns) = turns.parse::<u32>() else { return ExitCode::FAILURE };
    let auth_key = AuthKey::from_bytes([3; 256]);
    let mut data = vec![4; LEN];
    for _ in 0..turns {
        work(black_box(&auth_key), black_box(&mut data));
    }
    ExitCode::SUCCESS
}

type Work = fn(&AuthKey, &mut [u8]);

fn find(by: &str, work: &str) -> Option<Work> {
    Some(match (by, work) {
        ("chappe", "ige-encrypt") => |_, data| chappe_ige::encrypt(&KEY, &IV, data).expect("whole blocks"),
        ("chappe", "ige-decrypt") => |_, data| chappe_ige::decrypt(&KEY, &IV, data).expect("whole blocks"),
        ("chappe", "ctr") => |_, data| Ctr::new(&KEY, &[5; 16]).apply(data),
        ("chappe", "sha256") => |auth_key, data| {
            black_box(kdf::msg_key_v2(auth_key, Side::Client, data));
        },
        ("chappe", "open") => |auth_key, data| {
            // A wrong key: all the work is done, and the data is wiped.
            let _ = black_box(message::open(auth_key, Side::Client, &MsgKey::from_bytes([6; 16]), data));
        },
        ("rustcrypto", "ige-encrypt") => |_, data| {
            let (blocks, _) = Array::slice_as_chunks_mut(data);
            ige::Encryptor::<Aes256>::new((&KEY).into(), (&IV).into()).encrypt_blocks(blocks);
        },
        ("rustcrypto", "ige-decrypt") => |_, data| decrypt(&KEY, &IV, data),
        ("rustcrypto", "ctr") => |_, data| ctr(data),
        ("rustcrypto", "sha256") => |auth_key, data| {
            black_box(
                Sha256::new().chain_update(&auth_key.as_bytes()[88..120]).chain_update(data).finalize(),
            );
        },
        ("rustcrypto", "open") => |auth_key, data| {
            let aes = kdf::aes_v2(auth_key, Side::Client, &MsgKey::from_bytes([6; 16]));
            decrypt(&aes.key, &aes.iv, data);
            black_box(
                Sha256::new().chain_update(&auth_key.as_bytes()[88..120]).chain_update(&*data).finalize(),
            );
            data.fill(0);
        },
        _ => return None,
    })
}

fn decrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    ige::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
}

/// CTR mode by eight blocks, as the portable path of chappe does it.
fn ctr(data: &mut [u8]) {
    let cipher = Aes256::new((&KEY).into());
    let mut counter = u128::from_be_bytes([5; 16]);
    let mut keystream = [0; 128];
    for batch in data.chunks_mut(128) {
        let (blocks, _) = Array::slice_as_chunks_mut(&mut keystream);
        for block in &mut *blocks {
            *block = counter.to_be_bytes().into();
            counter = counter.wrapping_add(1);
        }
        cipher.encrypt_blocks(blocks);
        for (byte, key) in batch.iter_mut().zip(&keystream) {
            *byte ^= key;
        }
    }
}
