//! Logs a user in: code, two-factor password, the account's datacenter, and a file on another one.
//!
//! ```sh
//! cargo run --release --example login
//! ```
//!
//! Two embedded datacenters play Telegram (`telegram.rs`). Against the real one, `ConnectOptions::production` takes the place of
//! `telegram.options`, and a person types the code and the password.
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]

mod telegram;

use anyhow::{Context as _, Result, bail};
use chappe::api::{LAYER, enums, functions, types};
use chappe::crypto::dh::{Group, PrimeCache};
use chappe::crypto::rng::Drbg;
use chappe::crypto::srp;
use chappe::net::tokio::start;
use chappe::net::{Client, DataCenters, InvokeError, Lane};
use chappe::session::client::{ClientInfo, InitConnection};

/// What <https://my.telegram.org> gives to an application.
const API_ID: i32 = 12345;
const API_HASH: &str = "0123456789abcdef0123456789abcdef";

#[tokio::main]
async fn main() -> Result<()> {
    let telegram = telegram::Telegram::start()?;
    // Every connection begins by telling the layer and the application, until the datacenter has acknowledged both.
    let application = ClientInfo::default().with_api_id(API_ID).with_app_version(b"1.0".into());
    let init = InitConnection::new(LAYER, &application)?;
    let account = DataCenters::new(start, move |dc| telegram.options(dc).with_init(init.clone()));

    let home = log_in(&account, telegram::PHONE).await?;
    println!("logged in at datacenter {home}");
    let file = download(&account, home).await?;
    println!("downloaded {} bytes", file.len());
    account.close().await;
    Ok(())
}

/// Logs in and returns the datacenter on which the account lives.
async fn log_in(account: &DataCenters, phone_number: &str) -> Result<u16> {
    let settings = types::CodeSettings {
        allow_flashcall: false,
        current_number: false,
        allow_app_hash: false,
        allow_missed_call: false,
        allow_firebase: false,
        unknown_number: false,
        logout_tokens: None,
        token: None,
        app_sandbox: None,
    };
    let request = functions::auth::SendCode {
        phone_number,
        api_id: API_ID,
        api_hash: API_HASH,
        settings: (&settings).into(),
    };
    // Any datacenter can be asked first. `PHONE_MIGRATE_4` names the one on which the account lives.
    let mut home = 2;
    let sent = loop {
        match account.at(home).client(Lane::Main).await?.invoke(&request).await {
            Ok(sent) => break sent,
            Err(error) => home = elsewhere_or_later(error).await?.unwrap_or(home),
        }
    };
    let enums::auth::SentCode::SentCode(sent) = sent.get() else { bail!("no code was sent") };

    let client = account.at(home).client(Lane::Main).await?;
    let sign_in = functions::auth::SignIn {
        phone_number,
        phone_code_hash: sent.phone_code_hash,
        phone_code: Some(telegram::CODE),
        email_verification: None,
    };
    match client.invoke(&sign_in).await {
        Ok(_) => Ok(home),
        Err(error) if error.call().is_some_and(|error| error.message == "SESSION_PASSWORD_NEEDED") => {
            check_password(&client, telegram::PASSWORD).await?;
            Ok(home)
        }
        Err(error) => Err(error.into()),
    }
}

/// Proves the two-factor password without sending it.
async fn check_password(client: &Client, password: &str) -> Result<()> {
    use enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow as Known;

    let answer = client.invoke(&functions::account::GetPassword {}).await?;
    let settings = answer.get();
    let Some(Known(algorithm)) = settings.current_algo else { bail!("the algorithm is of a later layer") };
    let mut rng = Drbg::from_os()?;
    let group = Group::check(algorithm.p, algorithm.g, &mut PrimeCache::new(), &mut rng)?;
    let parameters = srp::Parameters { group: &group, salt1: algorithm.salt1, salt2: algorithm.salt2 };
    let srp_b = settings.srp_b.context("the account has no password")?;
    let proof = srp::prove(password.as_bytes(), &parameters, srp_b, &mut rng)?;
    let proof = types::InputCheckPasswordSrp {
        srp_id: settings.srp_id.context("the account has no password")?,
        a: &proof.a,
        m1: &proof.m1,
    };
    let password = enums::InputCheckPasswordSrp::InputCheckPasswordSrp(&proof);
    client.invoke(&functions::auth::CheckPassword { password }).await?;
    Ok(())
}

/// Downloads a file, wherever it lies.
async fn download(account: &DataCenters, home: u16) -> Result<Vec<u8>> {
    let location = types::InputDocumentFileLocation {
        id: telegram::FILE,
        access_hash: 0,
        file_reference: &[],
        thumb_size: "",
    };
    let part = functions::upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: enums::InputFileLocation::InputDocumentFileLocation(&location),
        offset: 0,
        limit: 1 << 20,
    };
    let mut dc = home;
    loop {
        match account.at(dc).client(Lane::Download).await?.invoke(&part).await {
            Ok(answer) => match answer.get() {
                enums::upload::File::File(file) => return Ok(file.bytes.to_vec()),
                enums::upload::File::CdnRedirect(_) => {
                    bail!("the file lies on a CDN, which this program does not ask")
                }
            },
            // `FILE_MIGRATE_2`: the file lies on another datacenter, which does not know the login yet.
            Err(error) => {
                if let Some(other) = elsewhere_or_later(error).await? {
                    take_login_to(account, home, other).await?;
                    dc = other;
                }
            }
        }
    }
}

/// Takes the login to another datacenter. What `exportAuthorization` gives can be used once.
async fn take_login_to(account: &DataCenters, home: u16, other: u16) -> Result<()> {
    let export = functions::auth::ExportAuthorization { dc_id: other.into() };
    let exported = account.at(home).client(Lane::Main).await?.invoke(&export).await?;
    let import = functions::auth::ImportAuthorization { id: exported.get().id, bytes: exported.get().bytes };
    account.at(other).client(Lane::Main).await?.invoke(&import).await?;
    Ok(())
}

/// Returns the datacenter that an error names, or waits as long as the datacenter asks for and returns `None`.
async fn elsewhere_or_later(error: InvokeError) -> Result<Option<u16>> {
    if let Some(dc) = error.migrate_to() {
        return Ok(Some(dc));
    }
    // `FLOOD_WAIT_3`: the call is rejected for three seconds. A long wait is for a person to decide.
    match error.wait() {
        Some(wait) if wait.as_secs() <= 60 => tokio::time::sleep(wait).await,
        _ => return Err(error.into()),
    }
    Ok(None)
}
