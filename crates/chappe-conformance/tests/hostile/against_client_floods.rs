//! The same server, which does not stop.

use alloc::collections::BTreeSet;
use chappe_types::TransportErrorCode;

use chappe_framing::MsgId;
use chappe_session::SessionLimits;
use chappe_session::client::{CallFailure, Repeat, SendOptions};

use crate::Say;
use crate::pen::{Pen, Seen, result_of};

/// Rounds after which a loop is taken to be one without end.
const ROUNDS: usize = 400;

/// What a session may keep after a flood, in bytes: tables of ids, no bodies.
const KEPT: i64 = 1 << 20;

fn about(id: u32, msg_id: MsgId, rest: &[u32]) -> Vec<u8> {
    let mut body = id.to_le_bytes().to_vec();
    body.extend_from_slice(&msg_id.to_bytes());
    for word in rest {
        body.extend_from_slice(&word.to_le_bytes());
    }
    body
}

fn complaint(msg_id: MsgId, code: i32) -> Vec<u8> {
    if code == 48 {
        // A new salt each time.
        let salt = msg_id.to_raw() as u32;
        return about(0xedab_447b, msg_id, &[1, 48, salt, salt]);
    }
    about(0xa7ef_f811, msg_id, &[1, code as u32])
}

#[test]
fn no_code_of_bad_msg_notification_makes_an_endless_loop() {
    let odd = [-1, 0, 1, 15, 21, 31, 36, 49, 63, 65, 255, i32::MAX, i32::MIN];
    for code in [16, 17, 18, 19, 20, 32, 33, 34, 35, 48, 64].into_iter().chain(odd) {
        for repeat in [Repeat::Freely, Repeat::AfterAsking, Repeat::Never] {
            let mut pen = Pen::new();
            let call = pen.call_with(SendOptions::default().with_repeat(repeat));
            let mut sent_times = 0;
            let mut ended = Vec::new();
            for _ in 0..ROUNDS {
                // The server complains about every message, service messages too.
                let sent = pen.sent();
                sent_times += sent.iter().filter(|sent| sent.body.ends_with(&crate::QUERY)).count();
                for message in sent {
                    let Ok(seen) = pen.say(&complaint(message.msg_id, code)) else {
                        pen.reconnect();
                        continue;
                    };
                    if seen
                        .iter()
                        .any(|seen| matches!(seen, Seen::Other(other) if other.contains("Reconnect")))
                    {
                        ended.extend(pen.reconnect());
                    }
                    ended.extend(seen);
                }
                ended.extend(pen.pass(500));
                if !pen.client.is_pending(call) {
                    break;
                }
            }
            let attempts = usize::from(SessionLimits::default().attempts);
            assert!(sent_times <= attempts, "{code} {repeat:?}: sent {sent_times} times");
            let ends = ended.iter().filter(|seen| matches!(seen, Seen::Failed(..) | Seen::Error(_))).count();
            assert!(ends <= 1, "{code} {repeat:?}: {ended:?}");
            if !pen.client.is_pending(call) {
                assert_eq!(ends, 1, "{code} {repeat:?}: {ended:?}");
            }
            pen.survives(&format!("code {code}"));
        }
    }
}

#[test]
fn an_error_to_a_service_message_stops_nothing() {
    let mut pen = Pen::new();
    let error = [&0x2144_ca19_u32.to_le_bytes()[..], &500_u32.to_le_bytes(), &[3, b'B', b'A', b'D']].concat();
    pen.client.destroy_session(chappe_session::SessionId::from_raw(77));
    let dropped = pen.call();
    pen.sent();
    pen.client.cancel(dropped);
    let mut kinds = BTreeSet::new();
    for _ in 0..60 {
        pen.call();
        for message in pen.sent() {
            kinds.insert(message.body[..4].to_vec());
            pen.say(&result_of(message.msg_id, &error)).expect("an error is in order");
        }
        // Long enough for pings, questions about states, requests for salts.
        pen.pass(20_000);
    }
    assert!(kinds.len() >= 4, "the client said several kinds of things: {kinds:02x?}");
    pen.survives("errors to service messages");
}

#[test]
fn transport_errors_by_a_stranger_never_cost_a_key() {
    let codes = [-404, -429, -444, -1, 0, 404, i32::MIN, i32::MAX];
    let mut pen = Pen::new();
    let before = pen.client.auth_key_id();
    for round in 0..40 {
        for code in codes {
            pen.call();
            pen.sent();
            let now = pen.now();
            pen.client.handle_transport_error(now, TransportErrorCode::from_raw(code));
            pen.pass(100);
            pen.reconnect();
        }
        assert_eq!(pen.client.auth_key_id(), before, "round {round}");
    }
    pen.survives("transport errors");
    assert_eq!(pen.client.auth_key_id(), before);
}

#[test]
fn quick_acknowledgements_of_nothing_are_ignored() {
    let mut pen = Pen::new();
    pen.call_with(SendOptions::default().with_quick_ack(true));
    pen.sent();
    let now = pen.now();
    for token in 0..5_000 {
        pen.client.handle_quick_ack(now, chappe_crypto::QuickAckToken::from_raw(token));
    }
    assert_eq!(pen.events(), []);
    pen.survives("quick acks");
}

#[test]
fn a_server_that_never_stops_talking_fills_nothing() {
    let mut pen = Pen::new();
    for _ in 0..100 {
        pen.call();
    }
    let queries = pen.queries();
    let unknown = |number: usize| MsgId::from_raw(4 * number as i64);
    let floods: [(&str, Say<'_>); 10] = [
        ("pings", &|number| about(0x7abe_77ec, unknown(number), &[])),
        ("updates", &|_| vec![0x44; 8]),
        ("new sessions", &|number| {
            about(0x9ec2_0908, queries[0].msg_id, &[number as u32, 7, 9, number as u32])
        }),
        ("detailed infos", &|number| {
            about(0x276d_3ec6, queries[number % 100].msg_id, &[4 * number as u32 + 1, 0x65c5_0000, 8, 0])
        }),
        ("new detailed infos", &|number| about(0x809d_b6df, MsgId::from_raw(4 * number as i64 + 1), &[8, 0])),
        ("questions about states", &|number| {
            let ids: Vec<u8> = (0..100).flat_map(|at| unknown(number + at).to_bytes()).collect();
            [&0xda69_fb52_u32.to_le_bytes()[..], &0x1cb5_c415_u32.to_le_bytes(), &100_u32.to_le_bytes(), &ids]
                .concat()
        }),
        ("requests to send again", &|number| {
            let id = queries[number % 100].msg_id.to_bytes();
            [&0x7d86_1a08_u32.to_le_bytes()[..], &0x1cb5_c415_u32.to_le_bytes(), &1_u32.to_le_bytes(), &id]
                .concat()
        }),
        ("salts nobody asked for", &|number| about(0xae50_0895, unknown(number), &[7, 1, 1, 2, 3, 4])),
        ("pongs", &|number| about(0x3477_73c5, unknown(number), &[number as u32, 0])),
        ("destroyed sessions", &|number| about(0xe220_455c, unknown(number), &[])),
    ];
    for (name, flood) in floods {
        let cost = allocation_counter::measure(|| {
            for number in 0..3_000 {
                let _ = pen.say(&flood(number));
                if number % 100 == 99 {
                    pen.millis += 10;
                    pen.sent();
                }
            }
            pen.sent();
            pen.events();
        });
        assert!(cost.bytes_current <= KEPT, "{name}: {} bytes stay", cost.bytes_current);
        assert!(pen.client.salts().len() <= SessionLimits::default().salts, "{name}");
    }
    pen.survives("floods");
}

#[test]
fn events_that_nobody_fetches_stop_the_session_and_not_the_machine() {
    let limits = SessionLimits::default().with(|limits| limits.events = 100);
    let mut pen = Pen::with(limits);
    // The frames carry updates, and then a fault, so that they are never shown.
    let broken = [&0x3072_cfa1_u32.to_le_bytes()[..], &[4, 0x1f, 0x8b, 8, 0, 0, 0, 0]].concat();
    let mut waiting = 0;
    for _ in 0..200 {
        pen.millis += 10;
        let outer = pen.next_id();
        let low = |step: i64| outer.to_raw() - 4 * step;
        let messages = [(low(2), 1, 8, &[0x44; 8][..]), (low(1), 3, broken.len() as u32, &broken[..])];
        let frame = pen.frame(outer, 4, &crate::container(2, &messages));
        let error = pen.show(frame).unwrap_err();
        waiting += usize::from(matches!(error, chappe_session::client::ReceiveError::EventsWaiting));
    }
    assert_eq!(waiting, 100);
    assert_eq!(pen.events().len(), 100);
    pen.survives("events");
}

#[test]
fn a_call_that_is_never_answered_ends_by_its_own_time() {
    let mut pen = Pen::new();
    let timeout = Some(core::time::Duration::from_secs(5));
    let call = pen.call_with(SendOptions::default().with_timeout(timeout));
    let mut seen = Vec::new();
    for _ in 0..20 {
        pen.sent();
        seen.extend(pen.pass(1000));
    }
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Failed(call, CallFailure::TimedOut)).count(), 1);
    pen.survives("silence");
}
