//! Decrypts a captured frame given the `auth_key`.
//!
//! ```text
//! cargo run --example decrypt_frame -- AUTH_KEY_HEX FRAME_HEX client|server
//! ```
//!
//! The frame begins with `auth_key_id`: what a transport delivers, without its length. The last argument says who wrote
//! it. Without arguments a built-in sample is decrypted.

use core::error::Error;
use std::env;

use chappe_crypto::{AuthKey, AuthKeyId, MsgKey, Side, message};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (auth_key, mut frame, from) = match arguments.as_slice() {
        [] => sample()?,
        [key, frame, side] => (AuthKey::from_slice(&hex::decode(key)?)?, hex::decode(frame)?, parse(side)?),
        _ => return Err("arguments: AUTH_KEY_HEX FRAME_HEX client|server, or none".into()),
    };
    print_frame(&auth_key, &mut frame, from)
}

/// Opens the frame and prints its fields.
fn print_frame(auth_key: &AuthKey, frame: &mut [u8], from: Side) -> Result<(), Box<dyn Error>> {
    let (id, rest) = frame.split_first_chunk().ok_or("no room for auth_key_id")?;
    let id = AuthKeyId::from_bytes(*id);
    println!("auth_key_id  {id}");
    if id != auth_key.id() {
        return Err(format!("the frame is for another key; the one given is {}", auth_key.id()).into());
    }
    let split = 8 + rest.first_chunk::<16>().ok_or("no room for msg_key")?.len();
    let (header, encrypted) = frame.split_at_mut(split);
    let msg_key = MsgKey::from_bytes(header[8..].try_into()?);
    let quick_ack = message::open(auth_key, from, &msg_key, encrypted)?;

    // The msg_key was right, so the fields may be looked at.
    let long = |at: usize| encrypted[at..at + 8].try_into().map(i64::from_le_bytes);
    let int = |at: usize| encrypted[at..at + 4].try_into().map(i32::from_le_bytes);
    println!("msg_key      {}", hex::encode(msg_key.as_bytes()));
    println!("quick_ack    {:#010x}", quick_ack.to_raw());
    println!("salt         {:#018x}", long(0)?);
    println!("session_id   {:#018x}", long(8)?);
    println!("msg_id       {:#018x}", long(16)?);
    println!("seq_no       {}", int(24)?);
    let body_len = usize::try_from(int(28)?)?;
    let body = encrypted.get(32..).and_then(|rest| rest.get(..body_len)).ok_or("the length does not fit")?;
    println!("body         {body_len} bytes: {}", hex::encode(body));
    println!("padding      {} bytes", encrypted.len() - 32 - body_len);
    Ok(())
}

fn parse(side: &str) -> Result<Side, &'static str> {
    match side {
        "client" => Ok(Side::Client),
        "server" => Ok(Side::Server),
        _ => Err("the last argument is client or server"),
    }
}

/// A `pong` under a key of counting bytes.
fn sample() -> Result<(AuthKey, Vec<u8>, Side), Box<dyn Error>> {
    let auth_key: Vec<u8> = (0..=255).collect();
    Ok((AuthKey::from_slice(&auth_key)?, hex::decode(SAMPLE)?, Side::Server))
}

const SAMPLE: &str = "\
    32d1586ea457dfc836f13152247359af4e62a4204a8ed7896a04babce59ba35a00bcf7a17cd74d4f70c1744b08c40613\
    14c8984fa5ce52858c7c2e0f99e0ba7bf1c353cc2c6c1e7636a2b81d58b264f743685b5cabeae7e8";
