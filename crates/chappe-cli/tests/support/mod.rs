//! What the tests of the program share.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use chappe::api::{AnyCall, enums, functions, types};
use chappe::crypto::dh::{Group, KNOWN_PRIME};
use chappe::crypto::rng::Drbg;
use chappe::crypto::srp;
use chappe::loopback::{Loopback, Options};
use chappe::server::{ListenOptions, Router, RpcError};
use chappe::tl::table::Arena;
use chappe::tl::{Identifiable, Serializable};
use chappe::transport::ProxySecret;

/// The secret of the MTProxy that the datacenter plays as well.
pub(crate) const SECRET: &str = "ee000102030405060708090a0b0c0d0e0f6578616d706c652e636f6d";

const CODE: &str = "54321";
const PASSWORD: &str = "correct horse";
const USER: i64 = 7;

/// What one run of the program did.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs the program with these arguments and this standard input.
    pub(crate) fn new(args: &[&str], input: &str) -> Self {
        Self::with(args, input, &[])
    }

    /// Runs the program with environment variables besides.
    pub(crate) fn with(args: &[&str], input: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chappe"));
        command.args(args).env("COLUMNS", "100").current_dir(env!("CARGO_TARGET_TMPDIR"));
        for name in ["SESSION", "PROXY", "MTPROXY", "API_ID", "API_HASH", "PASSCODE", "BOT_TOKEN"] {
            command.env_remove(format!("CHAPPE_{name}"));
        }
        command.envs(variables.iter().copied());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // The program may end without reading it.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        Self {
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("it is text"),
            stderr: String::from_utf8(output.stderr).expect("it is text"),
        }
    }
}

/// Makes an empty folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the folder can be made");
    path
}

/// Answers every connection with the same bytes, and returns its address.
pub(crate) fn web_server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = [0; 512];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer.as_bytes());
                // What comes further is read, so that the answer is not lost by a reset.
                let _ = stream.read(&mut request);
            });
        }
    });
    address
}

/// Accepts connections and says nothing; returns its address.
pub(crate) fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    thread::spawn(move || {
        let _open: Vec<_> = listener.incoming().flatten().collect();
    });
    address
}

/// Starts a datacenter with one account, which has a two-factor password.
pub(crate) fn telegram() -> Loopback {
    let mut sockets = ListenOptions::datacenter();
    sockets.accept.secrets.push(ProxySecret::parse(SECRET).expect("it is one"));
    let options = Options::new().sockets(sockets);
    let options = on::<functions::auth::SendCode<'_>>(options, |_| Ok(sent_code()));
    let options = on::<functions::auth::SignIn<'_>>(options, |call| match call {
        AnyCall::AuthSignIn(call) if call.phone_code == Some(CODE) => {
            Err(RpcError::new(401, "SESSION_PASSWORD_NEEDED"))
        }
        _ => Err(RpcError::new(400, "PHONE_CODE_INVALID")),
    });
    let options = on::<functions::account::GetPassword>(options, |_| Ok(password_settings()));
    let options = on::<functions::auth::CheckPassword<'_>>(options, |call| match call {
        AnyCall::AuthCheckPassword(call) if is_right(&call.password) => Ok(authorization()),
        _ => Err(RpcError::new(400, "PASSWORD_HASH_INVALID")),
    });
    // The code is scanned between the first question and the second.
    let asked = AtomicUsize::new(0);
    let options = on::<functions::auth::ExportLoginToken<'_>>(options, move |_| {
        Ok(match asked.fetch_add(1, Ordering::Relaxed) {
            0 => {
                let token = types::auth::LoginToken { expires: i32::MAX, token: b"scan me" };
                enums::auth::LoginToken::LoginToken(token).to_bytes()
            }
            _ => with_authorization(|authorization| {
                let success = types::auth::LoginTokenSuccess { authorization };
                enums::auth::LoginToken::Success(success).to_bytes()
            }),
        })
    });
    options.start().expect("it starts")
}

/// Answers the function `F` with a closure that takes the decoded call.
fn on<F: Identifiable>(
    options: Options,
    answer: impl Fn(&AnyCall<'_>) -> Result<Vec<u8>, RpcError> + Send + Sync + 'static,
) -> Options {
    options.router(Router::new().on_raw(F::CONSTRUCTOR_ID, move |call| {
        let arena = Arena::new();
        let decoded = arena.decode::<AnyCall<'_>>(&call.body);
        let decoded = decoded.map_err(|_| RpcError::new(400, "INPUT_FETCH_ERROR"));
        let answered = decoded.and_then(&answer);
        async move { answered.map(Into::into) }
    }))
}

fn sent_code() -> Vec<u8> {
    let sent = types::auth::SentCode {
        r#type: enums::auth::SentCodeType::App(types::auth::SentCodeTypeApp { length: 5 }),
        phone_code_hash: "hash of the code",
        next_type: None,
        timeout: None,
    };
    enums::auth::SentCode::SentCode(&sent).to_bytes()
}

fn with_authorization<T>(write: impl FnOnce(enums::auth::Authorization<'_>) -> T) -> T {
    let authorization = types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user: enums::User::Empty(types::UserEmpty { id: USER }),
    };
    write(enums::auth::Authorization::Authorization(&authorization))
}

fn authorization() -> Vec<u8> {
    with_authorization(|authorization| authorization.to_bytes())
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
            p: &KNOWN_PRIME,
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
            hint: Some("a battery and a staple"),
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
