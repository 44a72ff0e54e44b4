//! A temporary key, bound to the permanent one: who learns it later cannot read what was said before.

use anyhow::{Context as _, Result, ensure};
use chappe::authentication::Finished;
use chappe::authentication::bind::BindTempAuthKey;
use chappe::crypto::rng::Drbg;
use chappe::framing::UnixTime;

use crate::args::{Args, Target};
use crate::key;
use crate::tunnel::{Credentials, Tunnel};

/// How long the temporary key lives, in seconds: a day, as clients do.
const LIFETIME: u32 = 86_400;

/// Makes a temporary key on the same connection and binds it. Returns a session under it.
pub(crate) fn bind(
    tunnel: Tunnel,
    permanent: &Finished,
    args: &Args,
    target: &Target,
    rng: &mut Drbg,
) -> Result<(Tunnel, Credentials)> {
    let options = target.client_options().temporary(LIFETIME);
    let (stream, temporary) = key::create(tunnel.into_stream(), options, "temporary auth_key", args, rng)?;
    let expires_at = temporary.expires_at().context("a temporary key expires")?;
    let credentials = Credentials::from(&temporary);
    let mut tunnel = Tunnel::new(stream, &credentials, args, rng);

    // The proof names the message it travels in, so it is made again with each attempt.
    let is_bound: bool = tunnel.ask_with(rng, |session, rng, out| {
        let (temporary, session_id) = (session.auth_key().id(), session.session_id());
        let packed = session.pack_built_into(UnixTime::now(), rng, out, |msg_id, rng| {
            BindTempAuthKey::new(&permanent.key(), temporary, session_id, expires_at, msg_id, rng)
        });
        Ok(packed??)
    })?;
    ensure!(is_bound, "the datacenter did not bind the temporary key");
    println!("  {:<20} bound to the permanent key for {LIFETIME} s", "auth.bindTempAuthKey");
    Ok((tunnel, credentials))
}
