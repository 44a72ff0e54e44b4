//! Clients of both drivers against a datacenter that attacks, on real sockets. After each attack the call under way and
//! the next one are answered, under the same key.

use core::time::Duration;

use chappe_framing::{MSG_CONTAINER, MsgId, SessionId, write_rpc_result_header};
use chappe_net::{Blame, InvokeError};
use chappe_tl::DecodeError;
use chappe_tl_api::functions;
use tokio::time::timeout;

use crate::forger::{Attack, Forger, Known, frame};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Closes,
    Stays,
}

/// Attacks that cost a connection at most.
const ATTACKS: [(&str, Attack, Then); 17] = [
    ("a length of nothing", |_| vec![0; 4], Then::Closes),
    ("a length without end", |_| 0x7fff_fff0_u32.to_le_bytes().to_vec(), Then::Closes),
    ("a transport error by a stranger", |_| frame(&(-404_i32).to_le_bytes()), Then::Closes),
    ("noise of the length of a frame", |_| frame(&[0xa5; 120]), Then::Closes),
    ("a wrong msg_key", |known| frame(&changed(&known.answer, 8)), Then::Closes),
    ("a changed ciphertext", |known| frame(&changed(&known.answer, known.answer.len() - 1)), Then::Closes),
    ("half a frame", |known| frame(&known.answer[..known.answer.len() - 16]), Then::Closes),
    ("the client's own frame", |known| frame(&known.question), Then::Closes),
    ("a message in the clear", |_| frame(&in_the_clear()), Then::Closes),
    (
        "a message of another session",
        |known| {
            let session = SessionId::from_raw(known.session.to_raw() ^ 1);
            known.seal(session, known.fresh_id(), &[0x44; 8])
        },
        Then::Closes,
    ),
    (
        "an id of a client",
        |known| known.seal(known.session, MsgId::from_raw(known.answer_id.to_raw() & !3), &[0x44; 8]),
        Then::Closes,
    ),
    ("a container that is cut", |known| known.say(&container(2, &[])), Then::Closes),
    ("a container in a container", |known| known.say(&container(1, &container(0, &[]))), Then::Closes),
    ("a result for nobody", |known| known.say(&result(MsgId::from_raw(4), &[0; 4])), Then::Stays),
    ("a result for zero", |known| known.say(&result(MsgId::from_raw(0), &[0; 4])), Then::Closes),
    ("the same frame first", |known| frame(&known.answer), Then::Stays),
    (
        "an id from 1970",
        |known| known.seal(known.session, MsgId::from_raw(5 << 32 | 1), &[0x44; 8]),
        Then::Stays,
    ),
];

fn changed(payload: &[u8], at: usize) -> Vec<u8> {
    let mut changed = payload.to_vec();
    changed[at] ^= 1;
    changed
}

fn in_the_clear() -> Vec<u8> {
    [&[0; 8][..], &(1_i64 << 32 | 1).to_le_bytes(), &4_u32.to_le_bytes(), &[0x44; 4]].concat()
}

fn container(count: u32, content: &[u8]) -> Vec<u8> {
    let mut body = [MSG_CONTAINER.to_le_bytes(), count.to_le_bytes()].concat();
    if !content.is_empty() {
        body.extend((1_i64 << 32 | 1).to_le_bytes());
        body.extend(1_u32.to_le_bytes());
        body.extend((content.len() as u32).to_le_bytes());
        body.extend(content);
    }
    body
}

fn result(query: MsgId, object: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    write_rpc_result_header(&mut body, query);
    body.extend_from_slice(object);
    body
}

/// Checks what is left behind an attack: how many connections there were, and the key.
fn check(world: &World, forger: &Forger, before: usize, (name, _, then): (&str, Attack, Then)) {
    assert!(forger.is_done(), "{name} was tried");
    let opened = forger.accepted() - before;
    match then {
        Then::Closes => assert!(opened >= 1, "{name}: the connection is given up"),
        Then::Stays => assert_eq!(opened, 0, "{name}: the connection stays"),
    }
    assert_eq!(world.datacenter().engine().keys().len(), 1, "{name}: no other key was made");
}

#[tokio::test]
async fn no_attack_on_a_client_of_tokio_costs_more_than_a_connection() {
    let world = World::start();
    let forger = Forger::before(world.address());
    let client = chappe_net::tokio::connect(world.options_at(forger.address())).await.expect("a connection");
    let call = || async {
        let call = client.invoke(&functions::help::GetNearestDc {});
        timeout(PATIENCE, call).await.expect("it ends")
    };
    call().await.expect("an answer");
    forger.know(world.datacenter().engine().keys()[0].auth_key().clone());
    for attack in ATTACKS {
        call().await.unwrap_or_else(|error| panic!("before {}: {error}", attack.0));
        let before = forger.accepted();
        forger.strike(attack.1);
        call().await.unwrap_or_else(|error| panic!("{}: {error}", attack.0));
        call().await.unwrap_or_else(|error| panic!("after {}: {error}", attack.0));
        check(&world, &forger, before, attack);
    }
    assert_eq!(client.status().pending_calls, 0);
}

#[test]
fn no_attack_on_a_client_of_threads_costs_more_than_a_connection() {
    let world = World::start();
    let forger = Forger::before(world.address());
    let client = chappe_net::blocking::connect(world.options_at(forger.address())).expect("a connection");
    let call = || client.invoke(&functions::help::GetNearestDc {}).wait_timeout(PATIENCE).expect("it ends");
    call().expect("an answer");
    forger.know(world.datacenter().engine().keys()[0].auth_key().clone());
    for attack in ATTACKS {
        call().unwrap_or_else(|error| panic!("before {}: {error}", attack.0));
        let before = forger.accepted();
        forger.strike(attack.1);
        call().unwrap_or_else(|error| panic!("{}: {error}", attack.0));
        call().unwrap_or_else(|error| panic!("after {}: {error}", attack.0));
        check(&world, &forger, before, attack);
    }
    assert_eq!(client.status().pending_calls, 0);
}

/// Returns whether an error is the right one.
type Expected = fn(&DecodeError) -> bool;

/// Results that are none of the call's type.
const WRONG: [(&str, Attack, Expected); 3] = [
    (
        "another constructor",
        |known| known.say(&result(known.query, &0x9972_75b5_u32.to_le_bytes())),
        |error| matches!(error, DecodeError::UnexpectedConstructor { id: 0x9972_75b5, .. }),
    ),
    (
        "half an object",
        |known| known.say(&half(known)),
        |error| matches!(error, DecodeError::UnexpectedEof { .. }),
    ),
    (
        "something behind the object",
        |known| known.say(&more(known)),
        |error| matches!(error, DecodeError::TrailingBytes { count: 4, .. }),
    ),
];

/// A `nearestDc` as the datacenter would answer.
fn nearest_dc(known: &Known) -> Vec<u8> {
    use chappe_tl::Serializable as _;
    use chappe_tl_api::{enums, types};
    let nearest = types::NearestDc { country: "FR", this_dc: 2, nearest_dc: 2 };
    result(known.query, &enums::NearestDc::from(nearest).to_bytes())
}

fn half(known: &Known) -> Vec<u8> {
    let whole = nearest_dc(known);
    whole[..whole.len() - 4].to_vec()
}

fn more(known: &Known) -> Vec<u8> {
    [&nearest_dc(known)[..], &[0; 4]].concat()
}

#[tokio::test]
async fn sec_099_a_result_of_another_type_fails_the_call_it_answers_and_no_other() {
    let world = World::start();
    let forger = Forger::before(world.address());
    let client = chappe_net::tokio::connect(world.options_at(forger.address())).await.expect("a connection");
    client.invoke(&functions::help::GetNearestDc {}).await.expect("an answer");
    forger.know(world.datacenter().engine().keys()[0].auth_key().clone());
    for (name, attack, is_expected) in WRONG {
        let before = forger.accepted();
        forger.strike(attack);
        let refused = client.invoke(&functions::help::GetNearestDc {}).await.expect_err(name);
        assert_eq!(refused.blame(), Blame::Datacenter, "{name}");
        match refused {
            InvokeError::Answer(error) => assert!(is_expected(&error), "{name}: {error}"),
            other => panic!("{name}: {other}"),
        }
        // The true answer follows it and belongs to no call; the connection and the next call are well.
        client
            .invoke(&functions::help::GetNearestDc {})
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(forger.accepted(), before, "{name}: the connection stays");
        assert_eq!(client.status().pending_calls, 0, "{name}");
    }
}
