//! Both halves against each other: many seeds, over a link that loses, repeats and breaks.

use core::time::Duration;

use chappe_framing::{FrameBuf, Now, UnixTime};
use chappe_handshake::{
    ClientHandshake, ClientOptions, CreatedKey, DcId, Finished, HandshakeError, KeyKind, PeerId, Progress,
    QueryReply, ServerHandshakes, ServerOptions,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{at, client_options, server, server_options};

/// What a link does to the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    Lost,
    Twice,
}

/// A client and a server that share a manual clock and a link.
struct World {
    client: ClientHandshake,
    server: ServerHandshakes,
    rng: ChaCha20Rng,
    now: Now,
    created: Vec<CreatedKey>,
    /// The connection; a new one is made whenever something was lost.
    peer: PeerId,
    /// How many keys the server still rejects.
    retries: u8,
}

impl World {
    fn new(seed: u64, client: ClientOptions, server_options: ServerOptions) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = at(UnixTime::from_secs(1_707_425_105));
        let client = ClientHandshake::begin(client, now, &mut rng).expect("the options are in order");
        Self {
            client,
            server: server(server_options),
            rng,
            now,
            created: Vec::new(),
            peer: PeerId(0),
            retries: 0,
        }
    }

    /// Gives a frame to the server; returns its answer.
    fn ask(&mut self, question: &[u8]) -> Vec<u8> {
        let mut out = FrameBuf::new();
        match self.server.handle_frame(self.now, self.peer, question, &mut out, &mut self.rng) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) if self.retries > 0 => {
                self.retries -= 1;
                candidate.retry();
            }
            QueryReply::Key(candidate) => self.created.push(candidate.accept()),
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        out.as_slice().to_vec()
    }

    /// Lets both clocks run.
    fn pass(&mut self, time: Duration) {
        self.now = Now::new(self.now.mono + time, self.now.unix.saturating_add(time));
    }

    /// Runs the exchange to its end; `fate` decides over each frame.
    fn run(&mut self, mut fate: impl FnMut(&mut ChaCha20Rng) -> Fate) -> Result<Finished, HandshakeError> {
        self.run_with(|world| fate(&mut world.rng))
    }

    /// Runs the exchange to its end; `fate` decides over each frame and may change the world.
    fn run_with(&mut self, mut fate: impl FnMut(&mut Self) -> Fate) -> Result<Finished, HandshakeError> {
        let mut question = FrameBuf::new();
        loop {
            if !self.client.poll_transmit(self.now, &mut question) {
                // Nothing came back: a new connection, the same bytes.
                self.pass(Duration::from_millis(100));
                self.peer = PeerId(self.peer.0 + 1);
                self.client.handle_timeout(self.now)?;
                self.client.resend();
                continue;
            }
            let mut answers = Vec::new();
            for _ in 0..copies(fate(self)) {
                let answer = self.ask(question.as_slice());
                answers.extend((0..copies(fate(self))).map(|_| answer.clone()));
            }
            for answer in answers {
                if let Progress::Done(finished) =
                    self.client.handle_frame(self.now, &answer, &mut self.rng)?
                {
                    return Ok(finished);
                }
            }
        }
    }

    fn check(&self, finished: &Finished) {
        let [created] = &self.created[..] else { panic!("{} keys were made", self.created.len()) };
        assert_eq!(finished.key(), created.auth_key);
        assert_eq!(finished.salt(), created.first_salt);
        assert_eq!(finished.expires_at().is_some(), created.expires_at.is_some());
    }
}

const fn copies(fate: Fate) -> usize {
    match fate {
        Fate::Delivered => 1,
        Fate::Lost => 0,
        Fate::Twice => 2,
    }
}

#[test]
fn both_halves_agree_for_many_seeds() {
    for seed in 0..40 {
        let kind = if seed % 2 == 0 { KeyKind::Permanent } else { KeyKind::Temporary { expires_in: 86_400 } };
        let client = client_options().with_kind(kind);
        let mut world = World::new(seed, client, server_options());
        world.retries = (seed % 3) as u8;
        let finished = world.run(|_| Fate::Delivered).unwrap_or_else(|error| panic!("{seed}: {error}"));
        world.check(&finished);
        assert_eq!(finished.time_offset, 0);
    }
}

#[test]
fn both_halves_agree_over_a_link_that_loses_and_repeats() {
    for seed in 0..60 {
        let mut world = World::new(seed, client_options(), server_options());
        let finished = world.run(|rng| match rng.next_u32() % 4 {
            0 => Fate::Lost,
            1 => Fate::Twice,
            _ => Fate::Delivered,
        });
        world.check(&finished.unwrap_or_else(|error| panic!("{seed}: {error}")));
    }
}

#[test]
fn losing_or_repeating_any_single_frame_does_no_harm() {
    for fate in [Fate::Lost, Fate::Twice] {
        // Three questions and three answers, and one pair more for a retry.
        for victim in 0..8 {
            let mut world = World::new(99, client_options(), server_options());
            world.retries = 1;
            let mut frame = 0;
            let finished = world.run(|_| {
                frame += 1;
                if frame == victim + 1 { fate } else { Fate::Delivered }
            });
            world.check(&finished.unwrap_or_else(|error| panic!("{fate:?} {victim}: {error}")));
        }
    }
}

#[test]
fn a_link_that_delivers_nothing_ends_at_the_deadline() {
    let mut world = World::new(7, client_options(), server_options());
    let started_at = world.now;
    let result = world.run(|_| Fate::Lost);
    assert!(matches!(result, Err(HandshakeError::TimedOut)), "{result:?}");
    let elapsed = world.now.mono.since(started_at.mono);
    assert!(
        elapsed >= chappe_handshake::HANDSHAKE_TIMEOUT && elapsed < Duration::from_secs(31),
        "{elapsed:?}"
    );
}

#[test]
fn sec_177_a_step_of_the_wall_clock_ends_no_exchange() {
    for step in [31, 700, 1 << 31] {
        for forward in [true, false] {
            let mut world = World::new(3, client_options(), server_options());
            let finished = world.run_with(|world| {
                let unix = world.now.unix;
                let step = Duration::from_secs(step);
                world.now.unix = if forward { unix.saturating_add(step) } else { unix.saturating_sub(step) };
                world.client.handle_timeout(world.now).expect("no time has passed");
                world.server.handle_timeout(world.now);
                Fate::Delivered
            });
            world.check(&finished.unwrap_or_else(|error| panic!("{step} {forward}: {error}")));
        }
    }
}

#[test]
fn an_undecided_candidate_comes_again() {
    let mut world = World::new(5, client_options(), server_options());
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut undecided = 0;
    loop {
        if !world.client.poll_transmit(world.now, &mut question) {
            world.client.resend();
            continue;
        }
        answer.clear();
        let World { server, client, rng, now, created, peer, .. } = &mut world;
        match server.handle_frame(*now, *peer, question.as_slice(), &mut answer, rng) {
            QueryReply::Key(candidate) if undecided == 0 => {
                undecided += 1;
                drop(candidate);
                continue;
            }
            QueryReply::Key(candidate) => created.push(candidate.accept()),
            QueryReply::Answer => {}
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        if let Progress::Done(finished) = client.handle_frame(*now, answer.as_slice(), rng).unwrap() {
            world.check(&finished);
            break;
        }
    }
    assert_eq!(undecided, 1);
}

#[test]
fn two_exchanges_at_once_do_not_disturb_each_other() {
    let mut world = World::new(11, client_options(), server_options());
    let mut other = ClientHandshake::begin(client_options(), world.now, &mut world.rng).unwrap();
    let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
    let mut keys = Vec::new();
    while keys.len() < 2 {
        let World { server, client, rng, now, created, peer, .. } = &mut world;
        for client in [client, &mut other] {
            if !client.poll_transmit(*now, &mut question) {
                continue;
            }
            match server.handle_frame(*now, *peer, question.as_slice(), &mut answer, rng) {
                QueryReply::Answer => {}
                QueryReply::Key(candidate) => created.push(candidate.accept()),
                QueryReply::Refuse(refusal) => panic!("{refusal}"),
            }
            if let Progress::Done(finished) = client.handle_frame(*now, answer.as_slice(), rng).unwrap() {
                keys.push(finished.key());
            }
        }
    }
    assert_ne!(keys[0], keys[1]);
    let created: Vec<_> = world.created.iter().map(|created| created.auth_key.clone()).collect();
    assert_eq!(keys, created);
}

#[test]
fn the_time_offset_is_the_difference_of_the_clocks() {
    for (local, expected) in
        [(1_707_425_105_u64, 0), (1_707_425_205, -100), (1_707_420_105, 5_000), (0, 1_707_425_105)]
    {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (local, remote) = (at(UnixTime::from_secs(local)), at(UnixTime::from_secs(1_707_425_105)));
        let mut server = server(server_options());
        let mut client = ClientHandshake::begin(client_options(), local, &mut rng).unwrap();
        let (mut question, mut answer) = (FrameBuf::new(), FrameBuf::new());
        let finished = loop {
            assert!(client.poll_transmit(local, &mut question));
            match server.handle_frame(remote, PeerId(1), question.as_slice(), &mut answer, &mut rng) {
                QueryReply::Answer => {}
                QueryReply::Key(candidate) => drop(candidate.accept()),
                QueryReply::Refuse(refusal) => panic!("{refusal}"),
            }
            if let Progress::Done(finished) = client.handle_frame(local, answer.as_slice(), &mut rng).unwrap()
            {
                break finished;
            }
        };
        assert_eq!(finished.time_offset, expected);
        assert_eq!(finished.server_time(), remote.unix);
    }
}

#[test]
fn the_short_forms_carry_out_an_exchange() {
    use chappe_handshake::{finish, step1, step2_with, step3};
    use chappe_tl::{Deserializable, Serializable};
    use chappe_tl_mtproto::enums;

    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut server =
        server(ServerOptions::strict(vec![crate::private_key()], vec![DcId::production(2)]).with_rate(None));
    let mut created = None;
    let mut ask = |request: Vec<u8>| {
        let mut out = FrameBuf::new();
        match server.handle_frame(
            Now::from_system(),
            PeerId(1),
            &crate::from_client(&request),
            &mut out,
            &mut rng,
        ) {
            QueryReply::Answer => {}
            QueryReply::Key(candidate) => created = Some(candidate.accept()),
            QueryReply::Refuse(refusal) => panic!("{refusal}"),
        }
        crate::object_of(out.as_slice())
    };
    let mut own_rng = chappe_crypto::rng::Drbg::from_os().unwrap();
    let (request, state) = step1().unwrap();
    let answer = enums::ResPq::from_bytes(&ask(request.to_bytes())).unwrap();
    let (request, state) = step2_with(state, answer, &client_options(), &mut own_rng).unwrap();
    let answer = enums::ServerDhParams::from_bytes(&ask(request.to_bytes())).unwrap();
    let (request, state) = step3(state, answer).unwrap();
    let answer = enums::SetClientDhParamsAnswer::from_bytes(&ask(request.to_bytes())).unwrap();
    let finished = finish(state, answer).unwrap();
    assert_eq!(finished.key(), created.unwrap().auth_key);
    assert!(finished.time_offset.abs() <= 1);
}

#[test]
fn the_two_argument_step_trusts_published_keys_only() {
    use chappe_handshake::{step1, step2};
    use chappe_tl_mtproto::{enums, types};

    let answer = |nonce, fingerprint| {
        enums::ResPq::ResPq(types::ResPq {
            nonce,
            server_nonce: [1; 16],
            pq: 0x17ed_4894_1a08_f981_u64.to_be_bytes().to_vec(),
            server_public_key_fingerprints: vec![fingerprint],
        })
    };
    let (request, state) = step1().unwrap();
    let ours = crate::public_key().fingerprint().to_raw();
    assert!(matches!(
        step2(state, answer(request.nonce, ours)),
        Err(HandshakeError::UnknownFingerprints { .. })
    ));
    let (request, state) = step1().unwrap();
    assert!(step2(state, answer(request.nonce, -3_414_540_481_677_951_611)).is_ok());
}
