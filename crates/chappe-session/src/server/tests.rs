use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, MsgIdGenerator, MsgOrigin};

use super::*;
use crate::counted::steps_of;

/// Steps that one answer may take on its way: a few binary searches.
const FEW: usize = 64;

#[test]
fn each_of_very_many_answers_costs_a_few_steps_until_it_is_acknowledged() {
    let config = ServerConfig::default();
    let count = config.unacked_messages;
    let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));
    let mut ids = MsgIdGenerator::new();
    let queries: Vec<MsgId> = (0..count).map(|_| ids.next(now.unix, MsgOrigin::Client)).collect();
    let key = AuthKey::from_bytes([0x5a; 256]);
    let mut session = ServerSession::new(config, key, SessionId::from_raw(5), SaltSchedule::new([1; 32]), 77);
    session.handle_connected(now, TransportTail::None);
    let mut rng = Drbg::from_seed([1; 32]);
    let mut out = FrameBuf::new();
    let steps = steps_of(|| {
        for query in &queries {
            session.state.inbox.acks.push(
                *query,
                now.mono,
                session.state.config.ack_delay,
                crate::MAX_IDS_PER_LIST,
            );
            session.respond_error(*query, 400, "NO").expect("there is room");
        }
        while session.poll_transmit(now, &mut rng, &mut out).is_some() {
            session.poll_timeout();
        }
        let late = Now::new(MonoTime::ZERO + session.state.config.resend_after, now.unix);
        session.handle_timeout(late);
        while session.poll_transmit(late, &mut rng, &mut out).is_some() {
            session.poll_timeout();
        }
    });
    assert_eq!(session.counters().resent, count as u64);
    assert!(steps <= FEW * count, "{steps} steps for {count} answers");
}
