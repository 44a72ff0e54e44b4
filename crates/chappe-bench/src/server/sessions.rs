//! Memory of sessions that nobody uses.

use anyhow::{Result, ensure};
use chappe_crypto::{AuthKey, rng::Drbg};
use chappe_framing::{FrameBuf, Now, TransportTail, UnixTime};
use chappe_server::{KeyState, KeyStatus, Output};
use chappe_session::EncryptedSession;
use chappe_tl_mtproto::functions::Ping;
use chappe_transport::AckRequest;

use super::rig::engine;
use crate::harness::{Settings, Spread};
use crate::idle::resident;
use crate::report::{Bound, Report};

/// Keys, each with [`PER_KEY`] sessions.
const KEYS: usize = 1000;

/// Sessions of a key.
const PER_KEY: usize = 50;

/// What a session may cost, in bytes.
const LIMIT: f64 = 4096.0;

pub fn run(_: &Settings, report: &mut Report) -> Result<()> {
    let engine = engine(PER_KEY)?;
    let mut rng = Drbg::from_os()?;
    let mut frame = FrameBuf::new();
    let now = Now::from_system();
    let before = resident()?;
    for number in 0..KEYS {
        let key = AuthKey::from_bytes(core::array::from_fn(|at| (number >> (at % 2 * 8)) as u8 ^ at as u8));
        engine.add_key(KeyState::new(key.clone(), KeyStatus::Permanent));
        for _ in 0..PER_KEY {
            let mut connection = engine.connect(([127, 0, 0, 1], 1).into(), TransportTail::None, || ());
            let mut session = EncryptedSession::with_rng(key.clone(), 0, 0, &mut rng);
            // The first is answered with the right salt.
            for ping_id in 0..2 {
                frame.clear();
                session.pack_into(&Ping { ping_id }, UnixTime::now(), &mut rng, &mut frame)?;
                let mut payload = frame.as_slice().to_vec();
                connection.handle_payload(now, &mut payload, AckRequest::No, &mut rng);
                while let Some(output) = connection.poll_output(now, &mut rng, &mut frame) {
                    ensure!(output == Output::Frame, "the server has ended the connection: {output:?}");
                    let mut answer = frame.as_slice().to_vec();
                    session.unpack_each(UnixTime::now(), &mut answer, |_| {})?;
                }
            }
        }
    }
    let sessions = engine.metrics().sessions();
    ensure!(sessions == (KEYS * PER_KEY) as u64, "{sessions} sessions are left");
    let each = (resident()? - before) / sessions as f64;
    let work = format!(
        "memory of one of {sessions} idle sessions ({each:.0} bytes, its part of a key included) / 4 KiB"
    );
    let ratio = each / LIMIT;
    report.target("sessions", work, Bound::AtMost(1.0), Spread { median: ratio, low: ratio, high: ratio });
    Ok(())
}
