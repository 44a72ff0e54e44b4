//! What a handler may do with the session that it answers.

use chappe_net::DialOptions;
use chappe_server::ListenOptions;
use chappe_transport::{Connector, Framing};

use crate::support::{Client, Query, Running, start_blocking, start_tokio};

#[test]
fn a_handler_may_push_to_the_session_of_its_query() {
    let starts: [fn(&ListenOptions) -> Running; 2] = [start_blocking, start_tokio];
    for start in starts {
        let running = start(&ListenOptions::datacenter());
        let mut client =
            Client::dial(running.address(), &DialOptions::new(Connector::plain(Framing::Abridged)));
        client.learn_salt();
        let query = client.send(&Query::Push);
        let (mut pushed, mut answer) = (Vec::new(), None);
        while pushed.len() < 2 || answer.is_none() {
            for body in client.receive().expect("an answer") {
                match chappe_framing::RpcResult::new_checked(&body) {
                    Ok(result) if result.req_msg_id() == query => answer = Some(result.result().to_vec()),
                    _ if body == b"first..." || body == b"second.." => pushed.push(body),
                    _ => {}
                }
            }
        }
        assert_eq!(pushed, [b"first...", b"second.."]);
        assert_eq!(answer.as_deref(), Some(&[1; 4][..]), "the session is connected");
        client.echo(7);
    }
}
