//! A login by a QR code that another device scans.

use std::time::{Duration, Instant};

use chappe::api::{enums, functions};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::account::{Account, User};
use super::{password, wants_password};
use crate::failure::{Blame, Failure, OrBlame as _, Result};
use crate::output::Output;

/// How often the datacenter is asked whether the code was scanned.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long anybody has to scan a code.
const PATIENCE: Duration = Duration::from_secs(300);

/// Shows codes until one was scanned. A code lives for half a minute, then the next one is shown.
pub(super) async fn log_in(
    account: &mut Account,
    api_id: i32,
    api_hash: &str,
    output: &mut Output,
) -> Result<User> {
    let begun = Instant::now();
    let mut shown = Vec::new();
    while begun.elapsed() < PATIENCE {
        let call = functions::auth::ExportLoginToken { api_id, api_hash, except_ids: &[] };
        let answer = match account.invoke(&call).await {
            Err(error) if wants_password(&error) => return password::check(account, output).await,
            answer => answer?,
        };
        match answer.get() {
            enums::auth::LoginToken::LoginToken(token) => {
                if shown != token.token {
                    shown = token.token.to_vec();
                    show(&shown, output)?;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            enums::auth::LoginToken::MigrateTo(to) => {
                let dc = u16::try_from(to.dc_id).unwrap_or_default();
                account.move_to(dc).await?;
                let call = functions::auth::ImportLoginToken { token: to.token };
                match account.invoke(&call).await {
                    Err(error) if wants_password(&error) => return password::check(account, output).await,
                    answer => {
                        if let enums::auth::LoginToken::Success(success) = answer?.get() {
                            return User::of(&success.authorization, false);
                        }
                    }
                }
            }
            enums::auth::LoginToken::Success(success) => return User::of(&success.authorization, false),
        }
    }
    Err(Failure::new(Blame::Network, "no device has scanned the code"))
}

/// Prints the code on standard error, so that `--json` stays JSON.
fn show(token: &[u8], output: &mut Output) -> Result<()> {
    let link = format!("tg://login?token={}", base64url(token));
    let code = QrCode::new(&link).or_blame(Blame::Protocol, "the token does not fit into a QR code")?;
    // Dark modules are drawn with the background of a dark terminal.
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    output.prompt(&format!("{picture}\n{link}\n"))
}

/// Encodes without padding, as links do.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64url;

    #[test]
    fn tokens_are_encoded_as_in_links() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"\xff\xfe", "__4")]
        {
            assert_eq!(base64url(bytes), text);
        }
    }
}
