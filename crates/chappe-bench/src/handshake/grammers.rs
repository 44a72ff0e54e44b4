//! The client of grammers, step by step as its documentation says.

use anyhow::Result;
use grammers_crypto::rsa;
use grammers_mtproto::authentication;
use grammers_tl_types::{
    Deserializable, Serializable,
    enums::{ResPq, ServerDhParams, SetClientDhParamsAnswer},
};

use super::{Costs, Server, relay};

const READABLE: &str = "our server writes what the schema says";

/// Goes through one exchange.
pub fn exchange(server: &mut Server, costs: &mut Costs) -> Result<[u8; 256]> {
    let (request, state) =
        costs.at_client(0, || authentication::step1().map(|(request, state)| (request.to_bytes(), state)))?;
    let answer = server.handle_object(&request, costs)?;
    let (request, state) = costs.at_client(0, || {
        let answer = ResPq::from_bytes(&answer).expect(READABLE);
        authentication::step2(state, answer).map(|(request, state)| (request.to_bytes(), state))
    })?;

    let request = relay::read(&request)?;
    // SAFETY: in this very version, `Step2` consists of nonce, server_nonce and new_nonce, all arrays of bytes.
    #[allow(unsafe_code, reason = "there is no other way to new_nonce")]
    let new_nonce = unsafe { relay::new_nonce(&state, &request.nonce, &request.server_nonce) }?;
    let key = server.public_key();
    let request = relay::readdress(&request, new_nonce, None, key, |inner, random| {
        let key = rsa::Key::new(&relay::decimal(key), "65537").expect("digits");
        rsa::encrypt_hashed(inner, &key, random)
    })?;

    let answer = server.handle_object(&request, costs)?;
    let (request, state) = costs.at_client(1, || {
        let answer = ServerDhParams::from_bytes(&answer).expect(READABLE);
        authentication::step3(state, answer).map(|(request, state)| (request.to_bytes(), state))
    })?;
    let answer = server.handle_object(&request, costs)?;
    let finished = costs.at_client(2, || {
        authentication::create_key(state, SetClientDhParamsAnswer::from_bytes(&answer).expect(READABLE))
    });
    Ok(finished?.auth_key)
}
