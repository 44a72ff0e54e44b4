//! Creating an `auth_key`: what it costs a client, ours and others, and what it costs our server.

mod costs;
mod grammers;
mod layer;
mod ours;
mod relay;
mod server;
mod sockets;

use anyhow::Result;

use crate::{
    harness::{Group, Settings, progress},
    report::{Bound, Report},
};
use costs::Costs;
use server::Server;

const PEERS: &[&str] = &["grammers-mtproto", "grammers-crypto", "layer-mtproto", "layer-crypto"];

const OURS: &str = "chappe";
const GRAMMERS: &str = "grammers-mtproto";
const LAYER: &str = "layer-mtproto";
const SERVER: &str = "chappe, server";
const BOTH: &str = "chappe, client and server";

const NOTES: &str = "\
All times except those of the last table are CPU time of the thread, which a busy machine affects little. Each round
gives every client the same `pq`, a product of two random primes of 31 bits, the published prime, and a server half of
`chappe-handshake` in the same process. Reading the answer and writing the request are included; sockets are not, except
in the last table, which is wall time for our blocking client and our tokio server with a thread each. Every exchange is
completed, and both sides must have the same key.

The peers accept only the public keys of Telegram's datacenters, so only Telegram's servers can read what they encrypt.
The measured time includes their encryption for that key. Then `new_nonce` is read from their state, and their own
function encrypts the same inner data for the key of our server, which is not measured. The rest of their exchange with
our server half is their code as published.

The checks differ: grammers does not test whether the prime is safe; layer accepts only the published prime; chappe
recognises the published prime and tests others.
";

/// A client that goes through one exchange and adds what it cost.
type Client = fn(&mut Server, &mut Costs) -> Result<[u8; 256]>;

/// Every client under its name.
const CLIENTS: [(&str, Client); 3] =
    [(OURS, ours::exchange), (GRAMMERS, grammers::exchange), (LAYER, layer::exchange)];

/// The steps of a client: what it does with each of the three answers.
const STEPS: [&str; 3] =
    ["resPQ: pq and RSA", "server_DH_params: two powers", "dh_gen_ok: the proof of the key"];

/// Measures everything.
///
/// # Errors
///
/// Fails if an exchange fails.
pub fn run(settings: &Settings) -> Result<Report> {
    let mut report = Report::new("Handshake", PEERS, NOTES);
    let mut server = Server::new()?;
    let mut costs = CLIENTS.map(|_| Vec::new());
    let bar = progress(settings.rounds() as u64, "exchanges");
    for round in 0..settings.rounds() {
        for step in 0..CLIENTS.len() {
            let index = (round + step) % CLIENTS.len();
            costs[index].push(exchange(CLIENTS[index], &mut server, round)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let group = |title: &str, part: &dyn Fn(&Costs) -> f64| {
        let column = |(index, (name, _)): (usize, &(&str, Client))| {
            ((*name).to_owned(), costs[index].iter().map(part).collect())
        };
        Group::of(title, CLIENTS.iter().enumerate().map(column).collect())
    };
    let client = group("the client's half", &Costs::client);
    let speed = |peer: &str| format!("the client's half: speed of ours / {peer}");
    report.target("handshake", speed(GRAMMERS), Bound::AtLeast(5.0), client.ratio(OURS, GRAMMERS));
    report.target("handshake", speed(LAYER), Bound::AtLeast(5.0), client.ratio(OURS, LAYER));
    report.group(client);
    for (index, title) in STEPS.iter().enumerate() {
        report.group(group(title, &|costs| costs.step(index)));
    }
    let ours = |part: fn(&Costs) -> f64| costs[0].iter().map(part).collect();
    report.group(Group::of(
        "our server, and both halves in one thread",
        vec![
            (SERVER.into(), ours(Costs::server)),
            (BOTH.into(), ours(|costs| costs.client() + costs.server())),
        ],
    ));
    report.group(sockets::group(settings.rounds())?);
    Ok(report)
}

/// Measures our server half with our client: CPU time of each exchange in nanoseconds.
///
/// # Errors
///
/// Fails if an exchange fails.
pub fn server_half(rounds: usize) -> Result<Vec<f64>> {
    let mut server = Server::new()?;
    (0..rounds).map(|round| Ok(exchange(CLIENTS[0], &mut server, round)?.server())).collect()
}

/// Goes through one exchange; the server draws the same numbers in the same round.
fn exchange((name, client): (&str, Client), server: &mut Server, round: usize) -> Result<Costs> {
    server.reseed(round as u64);
    let mut costs = Costs::default();
    let key = client(server, &mut costs)?;
    anyhow::ensure!(server.has_accepted(&key), "{name} and the server have different keys");
    Ok(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_agrees_on_a_key_with_our_server() {
        let mut server = Server::new().expect("the options are in order");
        for round in 0..3 {
            for client in CLIENTS {
                let costs = exchange(client, &mut server, round).expect("the exchange succeeds");
                assert!(costs.client() > 0.0 && costs.server() > 0.0, "{}", client.0);
            }
        }
    }
}
