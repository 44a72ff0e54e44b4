//! Two embedded datacenters that play Telegram: the account lives on 4, the file lies on 2.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use chappe::api::{AnyCall, enums, functions, types};
use chappe::authentication::DcId;
use chappe::crypto::dh::Group;
use chappe::crypto::rng::Drbg;
use chappe::crypto::srp;
use chappe::loopback::api::{self, Answer};
use chappe::loopback::{Loopback, Options};
use chappe::net::ConnectOptions;
use chappe::tl::table::Arena;
use chappe::tl::{Identifiable, Serializable};

pub(crate) const PHONE: &str = "+4912345678";
pub(crate) const CODE: &str = "54321";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const FILE: i64 = 1794;

const USER: i64 = 7;
const CODE_HASH: &str = "hash of the code";
const TICKET: &[u8] = b"good for one import";

/// The datacenters 2 and 4.
pub(crate) struct Telegram {
    two: Loopback,
    four: Loopback,
}

impl Telegram {
    pub(crate) fn start() -> Result<Self> {
        let imported = AtomicBool::new(false);
        let two = Options::new();
        let two = on::<functions::auth::SendCode<'_>>(two, |_| Err(api::error(303, "PHONE_MIGRATE_4")));
        let two = on::<functions::auth::ImportAuthorization<'_>>(two, move |call| match call {
            AnyCall::AuthImportAuthorization(call)
                if call.bytes == TICKET && !imported.swap(true, Ordering::Relaxed) =>
            {
                Ok(authorization())
            }
            _ => Err(api::error(400, "AUTH_BYTES_INVALID")),
        });
        let two = on::<functions::upload::GetFile<'_>>(two, |_| Ok(file()));

        let busy = AtomicBool::new(true);
        let four = Options::new().dc(DcId::production(4));
        let four = on::<functions::auth::SendCode<'_>>(four, move |_| {
            if busy.swap(false, Ordering::Relaxed) {
                Err(api::error(420, "FLOOD_WAIT_1"))
            } else {
                Ok(sent_code())
            }
        });
        let four = on::<functions::auth::SignIn<'_>>(four, |call| match call {
            AnyCall::AuthSignIn(call)
                if call.phone_code == Some(CODE) && call.phone_code_hash == CODE_HASH =>
            {
                Err(api::error(401, "SESSION_PASSWORD_NEEDED"))
            }
            _ => Err(api::error(400, "PHONE_CODE_INVALID")),
        });
        let four = on::<functions::account::GetPassword>(four, |_| Ok(password_settings()));
        let four = on::<functions::auth::CheckPassword<'_>>(four, |call| match call {
            AnyCall::AuthCheckPassword(call) if is_right(&call.password) => Ok(authorization()),
            _ => Err(api::error(400, "PASSWORD_HASH_INVALID")),
        });
        let four = on::<functions::auth::ExportAuthorization>(four, |_| {
            let ticket = types::auth::ExportedAuthorization { id: USER, bytes: TICKET };
            Ok(enums::auth::ExportedAuthorization::from(ticket).to_bytes())
        });
        let four = on::<functions::upload::GetFile<'_>>(four, |_| Err(api::error(303, "FILE_MIGRATE_2")));
        Ok(Self { two: two.start()?, four: four.start()? })
    }

    pub(crate) fn options(&self, dc: u16) -> ConnectOptions {
        if dc == 2 { self.two.connect_options() } else { self.four.connect_options() }
    }
}

/// Answers the function `F` with a closure that takes the decoded call.
fn on<F: Identifiable>(
    options: Options,
    answer: impl Fn(&AnyCall<'_>) -> Answer + Send + Sync + 'static,
) -> Options {
    options.on(F::CONSTRUCTOR_ID, move |_, bytes| {
        let arena = Arena::new();
        let call = arena.decode::<AnyCall<'_>>(bytes).map_err(|_| api::error(400, "INPUT_FETCH_ERROR"))?;
        answer(call)
    })
}

fn sent_code() -> Vec<u8> {
    let sent = types::auth::SentCode {
        r#type: enums::auth::SentCodeType::App(types::auth::SentCodeTypeApp { length: 5 }),
        phone_code_hash: CODE_HASH,
        next_type: None,
        timeout: None,
    };
    enums::auth::SentCode::SentCode(&sent).to_bytes()
}

fn authorization() -> Vec<u8> {
    let authorization = types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user: enums::User::Empty(types::UserEmpty { id: USER }),
    };
    enums::auth::Authorization::Authorization(&authorization).to_bytes()
}

fn file() -> Vec<u8> {
    let file =
        types::upload::File { r#type: enums::storage::FileType::FilePartial, mtime: 0, bytes: &[0x5a; 4096] };
    enums::upload::File::File(file).to_bytes()
}

/// Calls `run` with the parameters of the account's password.
fn with_parameters<T>(run: impl FnOnce(&srp::Parameters<'_>) -> T) -> T {
    let group = Group::known(3).expect("3 generates the known group");
    run(&srp::Parameters { group: &group, salt1: b"the first salt", salt2: b"the second" })
}

/// Makes the challenge. The same seed gives the same one, so that it need not be kept between two calls.
fn challenge<'a>(parameters: &'a srp::Parameters<'a>) -> srp::Challenge<'a> {
    let verifier = srp::verifier(PASSWORD.as_bytes(), parameters);
    srp::Challenge::new(parameters, &verifier, &mut Drbg::from_seed([1; 32])).expect("the seed is a good one")
}

fn password_settings() -> Vec<u8> {
    with_parameters(|parameters| {
        let algorithm = types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
            salt1: parameters.salt1,
            salt2: parameters.salt2,
            g: 3,
            p: &chappe::crypto::dh::KNOWN_PRIME,
        };
        let algorithm =
            enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(&algorithm);
        let challenge = challenge(parameters);
        let password = types::account::Password {
            has_recovery: false,
            has_secure_values: false,
            has_password: true,
            current_algo: Some(&algorithm),
            srp_b: Some(challenge.public()),
            srp_id: Some(1),
            hint: None,
            email_unconfirmed_pattern: None,
            new_algo: enums::PasswordKdfAlgo::Unknown,
            new_secure_algo: enums::SecurePasswordKdfAlgo::Unknown,
            secure_random: &[],
            pending_reset_date: None,
            login_email_pattern: None,
        };
        enums::account::Password::from(&password).to_bytes()
    })
}

fn is_right(password: &enums::InputCheckPasswordSrp<'_>) -> bool {
    let enums::InputCheckPasswordSrp::InputCheckPasswordSrp(proof) = password else { return false };
    let Ok(m1) = proof.m1.try_into() else { return false };
    with_parameters(|parameters| challenge(parameters).verify(proof.a, m1).is_ok())
}
