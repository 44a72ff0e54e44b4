//! T4 to T8: whole messages.

use std::hint::black_box;

use chappe_crypto::{
    AuthKey, MsgKey, Side, ige, kdf,
    message::{self, OpenJob, SealJob},
    rand_core::Rng,
    rng::Drbg,
};

use super::size;
use crate::{
    harness::{Case, Settings, measure},
    limits,
    report::{Bound, Report},
};

const HEADER: usize = 24;
const OURS: &str = "chappe";
const AES: &str = "AES chain";
const BOTH: &str = "SHA chain, then AES chain";
const TWO_PASSES: &str = "chappe, two passes";
const GRAMMERS: &str = "grammers-crypto";
const LAYER: &str = "layer-crypto";
const FEROGRAM: &str = "ferogram-crypto";
const EIGHT: &str = "chappe, 8 together";
const SIXTEEN: &str = "chappe, 16 together";

/// One key in everybody's type.
struct Keys {
    ours: AuthKey,
    grammers: grammers_crypto::AuthKey,
    layer: layer_crypto::AuthKey,
    ferogram: ferogram_crypto::AuthKey,
}

/// Measures opening and sealing at each size.
pub fn run(settings: &Settings, report: &mut Report) {
    let secret = std::array::from_fn(|i| (i * 37 % 256) as u8);
    let keys = Keys {
        ours: AuthKey::from_bytes(secret),
        grammers: grammers_crypto::AuthKey::from_bytes(secret),
        layer: layer_crypto::AuthKey::from_bytes(secret),
        ferogram: ferogram_crypto::AuthKey::from_bytes(secret),
    };
    for len in [128, 192, 1024, 16 * 1024, 512 * 1024] {
        open(settings, report, &keys, len);
    }
    for len in [100, 200, 1024, 16 * 1024, 512 * 1024] {
        seal(settings, report, &keys, len);
    }
}

/// A frame of the server whose encrypted part has `len` bytes.
fn frame(key: &AuthKey, len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..HEADER + len).map(|i| (i * 13 % 249) as u8).collect();
    let sealed = message::seal(key, Side::Server, &mut frame[HEADER..]).expect("whole blocks");
    frame[..8].copy_from_slice(key.id().as_bytes());
    frame[8..HEADER].copy_from_slice(sealed.msg_key.as_bytes());
    frame
}

fn msg_key(frame: &[u8]) -> MsgKey {
    MsgKey::from_bytes(frame[8..HEADER].try_into().expect("16 bytes"))
}

fn open(settings: &Settings, report: &mut Report, keys: &Keys, len: usize) {
    let title = format!("open, {}", size(len));
    if !settings.wants(&title) {
        return;
    }
    let source = &frame(&keys.ours, len);
    let mut cases = vec![Case::new(AES, len, || limits::aes_chain(black_box(len / 16)))];
    cases.push(opening(OURS, source, |data| {
        message::open(&keys.ours, Side::Server, &msg_key(data), &mut data[HEADER..]).is_ok()
    }));
    cases.push(opening(TWO_PASSES, source, |data| {
        let msg_key = msg_key(data);
        let aes = kdf::aes_v2(&keys.ours, Side::Server, &msg_key);
        ige::decrypt(&aes.key, &aes.iv, &mut data[HEADER..]).expect("whole blocks");
        kdf::msg_key_v2(&keys.ours, Side::Server, &data[HEADER..]) == msg_key
    }));
    cases.push(opening(GRAMMERS, source, |data| {
        grammers_crypto::decrypt_data_v2(data, &keys.grammers).is_ok()
    }));
    cases.push(opening(LAYER, source, |data| layer_crypto::decrypt_data_v2(data, &keys.layer).is_ok()));
    cases.push(opening(FEROGRAM, source, |data| {
        ferogram_crypto::decrypt_data_v2(data, &keys.ferogram).is_ok()
    }));
    cases.push(open_sixteen(&keys.ours, source, len));
    let group = measure(settings, &title, cases);
    let speed = |peer: &str| format!("{title}: speed / {peer}");
    if len >= 16 * 1024 {
        report.target(
            "T4",
            format!("{title}: time / AES chain"),
            Bound::AtMost(1.08),
            group.ratio(OURS, AES),
        );
        report.target("T4", speed(TWO_PASSES), Bound::AtLeast(1.6), group.ratio(OURS, TWO_PASSES));
    }
    if len == 512 * 1024 {
        report.target("T5", speed(GRAMMERS), Bound::AtLeast(3.2), group.ratio(OURS, GRAMMERS));
        report.target("T5", speed(LAYER), Bound::AtLeast(3.0), group.ratio(OURS, LAYER));
    }
    if len <= 192 {
        report.target("T5", speed(GRAMMERS), Bound::AtLeast(1.8), group.ratio(OURS, GRAMMERS));
        report.target("T5", speed(LAYER), Bound::AtLeast(1.8), group.ratio(OURS, LAYER));
    }
    if len == 16 * 1024 {
        let text = format!("{title}: speed of {SIXTEEN} / one, per byte");
        report.target("T8", text, Bound::AtLeast(1.4), group.ratio(SIXTEEN, OURS));
    }
    report.group(group);
}

/// Below this the clock would weigh more than the copy that restores a frame, so the copy is in the time.
const CLOCKED: usize = 16 * 1024;

/// Restores the frame and opens it, which must succeed.
fn opening<'a>(
    name: &'static str,
    source: &'a [u8],
    mut work: impl FnMut(&mut [u8]) -> bool + 'a,
) -> Case<'a> {
    let mut data = source.to_vec();
    let bytes = source.len() - HEADER;
    let mut open = move |data: &mut Vec<u8>| assert!(work(data), "{name} refused the message");
    let restore = |data: &mut Vec<u8>| data.copy_from_slice(black_box(source));
    if bytes >= CLOCKED {
        return Case::prepared(name, bytes, data, restore, open);
    }
    Case::new(name, bytes, move || {
        restore(&mut data);
        open(&mut data);
    })
}

fn open_sixteen<'a>(key: &'a AuthKey, source: &'a [u8], len: usize) -> Case<'a> {
    let mut frames = vec![source.to_vec(); 16];
    let restore = |frames: &mut Vec<Vec<u8>>| {
        for data in &mut *frames {
            data.copy_from_slice(black_box(source));
        }
    };
    let open = |frames: &mut Vec<Vec<u8>>| {
        let mut frames = frames.iter_mut();
        let mut jobs: [OpenJob<'_>; 16] = std::array::from_fn(|_| {
            let data = frames.next().expect("there are sixteen");
            OpenJob::new(key, Side::Server, msg_key(source), &mut data[HEADER..])
        });
        message::open_many(&mut jobs);
        assert!(jobs.iter().all(|job| matches!(job.result(), Some(Ok(_)))), "a message was refused");
    };
    if len >= CLOCKED {
        return Case::prepared(SIXTEEN, 16 * len, frames, restore, open);
    }
    Case::new(SIXTEEN, 16 * len, move || {
        restore(&mut frames);
        open(&mut frames);
    })
}

/// Length with padding: at least 12 bytes, and a multiple of 16.
fn padded(len: usize) -> usize {
    (len + 12).next_multiple_of(16)
}

fn seal(settings: &Settings, report: &mut Report, keys: &Keys, len: usize) {
    let title = format!("seal, payload of {}", size(len));
    if !settings.wants(&title) {
        return;
    }
    let payload = &vec![5_u8; len];
    let total = padded(len);
    let mut cases = vec![Case::new(BOTH, len, || {
        limits::sha_chain(black_box(limits::hash_blocks(total)));
        limits::aes_chain(black_box(total / 16));
    })];
    let (mut data, mut rng) = (vec![0; total], Drbg::from_os().expect("the system has randomness"));
    cases.push(Case::new(OURS, len, move || {
        data[..len].copy_from_slice(black_box(payload));
        rng.fill_bytes(&mut data[len..]);
        black_box(message::seal(&keys.ours, Side::Client, &mut data)).expect("whole blocks");
    }));
    cases.push(seal_together::<8>(EIGHT, &keys.ours, payload));
    cases.push(seal_together::<16>(SIXTEEN, &keys.ours, payload));
    let mut buffer = grammers_crypto::DequeBuffer::with_capacity(len + 32, HEADER);
    cases.push(Case::new(GRAMMERS, len, move || {
        buffer.clear();
        buffer.extend(black_box(payload));
        grammers_crypto::encrypt_data_v2(&mut buffer, &keys.grammers);
        black_box(&buffer);
    }));
    cases.push(Case::new(LAYER, len, || {
        let mut buffer = layer_crypto::DequeBuffer::with_capacity(len, 32);
        buffer.extend(black_box(payload).iter().copied());
        layer_crypto::encrypt_data_v2(&mut buffer, &keys.layer);
        black_box(&buffer);
    }));
    cases.push(Case::new(FEROGRAM, len, || {
        let mut buffer = ferogram_crypto::DequeBuffer::with_capacity(len, 32);
        buffer.extend(black_box(payload).iter().copied());
        ferogram_crypto::encrypt_data_v2(&mut buffer, &keys.ferogram);
        black_box(&buffer);
    }));
    let group = measure(settings, &title, cases);
    let speed = |peer: &str| format!("{title}: speed / {peer}");
    if len >= 16 * 1024 {
        report.target("T6", format!("{title}: time / {BOTH}"), Bound::AtMost(1.08), group.ratio(OURS, BOTH));
        report.target("T6", speed(GRAMMERS), Bound::AtLeast(1.75), group.ratio(OURS, GRAMMERS));
        let text = format!("{title}: time of {EIGHT} / {BOTH}, per byte");
        report.target("T6", text, Bound::AtMost(0.72), group.ratio(EIGHT, BOTH));
    }
    if len <= 200 {
        report.target("T7", speed(GRAMMERS), Bound::AtLeast(2.5), group.ratio(OURS, GRAMMERS));
        report.target("T7", speed(LAYER), Bound::AtLeast(2.5), group.ratio(OURS, LAYER));
    }
    report.group(group);
}

fn seal_together<'a, const N: usize>(name: &str, key: &'a AuthKey, payload: &'a [u8]) -> Case<'a> {
    let len = payload.len();
    let mut buffers = vec![vec![0; padded(len)]; N];
    let mut rng = Drbg::from_os().expect("the system has randomness");
    Case::new(name, N * len, move || {
        let mut buffers = buffers.iter_mut();
        let mut jobs: [SealJob<'_>; N] = std::array::from_fn(|_| {
            let data = buffers.next().expect("there are N");
            data[..len].copy_from_slice(black_box(payload));
            rng.fill_bytes(&mut data[len..]);
            SealJob::new(key, Side::Client, data)
        });
        message::seal_many(&mut jobs);
        black_box(&jobs);
    })
}
