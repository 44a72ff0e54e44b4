//! What passes through a proxy.

use chappe_transport::parts::unpadded_len;
use chappe_transport::{Connection, Framing, Relay, Side};

use super::Target;
use super::transport::{LIMITS, Seen, decoder_seeds, receive};

/// The translation of framings, against the decoder of the one that is read.
pub(super) const RELAY: Target = Target {
    name: "transport_relay",
    about: "a relay between each two framings, from either side, whole and in pieces",
    run: relay,
    seeds: relay_seeds,
    max_len: 4096,
};

/// First byte: the framings and the side. Second: the size of pieces.
fn relay(input: &[u8]) {
    let Some(([mode, piece], bytes)) = input.split_first_chunk() else { return };
    let (from, side) =
        (Framing::ALL[usize::from(mode & 3)], if mode & 4 == 0 { Side::Server } else { Side::Client });
    let to = Framing::ALL[usize::from(mode >> 3 & 3)];
    // What a call has written is lost if it fails: the smallest pieces lose least.
    let single = pass(from, to, side, bytes, 1);
    for piece in [bytes.len(), usize::from(*piece)] {
        let other = pass(from, to, side, bytes, piece);
        assert!(
            other.1 == single.1 && (other.1 || other.0 == single.0),
            "{from:?} to {to:?}, {side:?}: pieces make no difference"
        );
    }

    let direct = receive(&mut Connection::plain(from, side.peer(), LIMITS), bytes, bytes.len());
    let relayed = receive(&mut Connection::plain(to, side.peer(), LIMITS), &single.0, bytes.len());
    let (direct, relayed) = (comparable(direct, to), comparable(relayed, to));
    let common = direct.len().min(relayed.len());
    assert_eq!(direct[..common], relayed[..common], "{from:?} to {to:?}, {side:?}");
    // A frame passes before its checksum or its padding has come.
    let early = usize::from(matches!(from, Framing::Full | Framing::PaddedIntermediate));
    assert!(relayed.len() <= direct.len() + early);
    assert!(single.1 || relayed.len() >= direct.len(), "everything passes unless the relay ends");
}

/// Returns what is written at the other end, and whether the relay ended.
fn pass(from: Framing, to: Framing, side: Side, bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let (client, datacenter) = if side == Side::Client { (from, to) } else { (to, from) };
    let client = Connection::plain(client, Side::Server, LIMITS);
    let (up, down) = Relay::join(client, Connection::plain(datacenter, Side::Client, LIMITS));
    let mut relay = if side == Side::Client { up } else { down };
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        let mut passed = piece.to_vec();
        if relay.pass(&mut passed, &mut scratch).is_err() {
            return (out, true);
        }
        assert!(passed.len() <= 3 * piece.len() + 128, "no more than the start of a frame is held");
        out.extend(passed);
    }
    (out, false)
}

/// What the framing of the other end can carry.
fn comparable(seen: Seen, to: Framing) -> Vec<(Vec<u8>, u32)> {
    let mut seen = seen.0;
    // Behind the last whole block of a message, the reader of this framing sees padding.
    if to == Framing::PaddedIntermediate {
        for (payload, _) in &mut seen {
            payload.truncate(unpadded_len(payload));
        }
    }
    if !to.has_quick_acks() {
        seen.retain(|(payload, mark)| !payload.is_empty() || mark & 0x8000_0000 == 0);
        for (_, mark) in seen.iter_mut().filter(|(payload, _)| !payload.is_empty()) {
            *mark = 0;
        }
    }
    seen
}

fn relay_seeds() -> Vec<Vec<u8>> {
    let seeds = decoder_seeds();
    let modes = (0..4_u8).flat_map(|to| seeds.iter().map(move |seed| (to << 3, seed)));
    modes.map(|(to, seed)| [&[seed[0] | to][..], &seed[1..]].concat()).collect()
}
