//! Our client.

use anyhow::{Result, bail};
use chappe_crypto::{rng::Drbg, rsa::KeyRing};
use chappe_framing::{FrameBuf, Now};
use chappe_handshake::{ClientHandshake, ClientOptions, DcId, Progress};

use super::{Costs, Server};

/// Goes through one exchange.
pub fn exchange(server: &mut Server, costs: &mut Costs) -> Result<[u8; 256]> {
    let mut keys = KeyRing::empty();
    keys.add(server.public_key().clone());
    let options = ClientOptions::new(keys, DcId::production(2));
    let (now, mut rng) = (Now::from_system(), Drbg::from_os()?);
    let mut question = FrameBuf::new();
    let mut client = costs.at_client(0, || ClientHandshake::begin(options, now, &mut rng))?;
    for step in 0..3 {
        costs.at_client(step, || client.poll_transmit(now, &mut question));
        let answer = server.handle_frame(question.as_slice(), costs)?;
        let progress = costs.at_client(step, || client.handle_frame(now, answer, &mut rng))?;
        if let Progress::Done(finished) = progress {
            return Ok(*finished.key().as_bytes());
        }
    }
    bail!("three answers gave no key")
}
