//! Accounts, messages and files of the embedded datacenter, and tests that look into them.

use core::time::Duration;

use chappe_crypto::cdn::{self, CdnFileKey};
use chappe_crypto::dh::{Group, PrimeCache};
use chappe_crypto::rng::Drbg;
use chappe_crypto::srp;
use chappe_handshake::DcId;
use chappe_loopback::api::Account;
use chappe_loopback::{Cloud, Loopback, Options};
use chappe_net::{Client, ConnectOptions, InvokeError, Update, Updates, Waited, blocking};
use chappe_session::client::{ClientInfo, InitConnection};
use chappe_tl::table::Decoded;
use chappe_tl_api::functions::{account, auth, contacts, help, messages, updates, upload, users};
use chappe_tl_api::{LAYER, enums, types};

const PHONE: &str = "+49 123 456";
const CODE: &str = "54321";
const PASSWORD: &str = "correct horse";

fn person(id: i64, name: &str) -> Account {
    Account { id, first_name: name.into(), username: name.to_lowercase() }
}

/// Alice, with phone and password; Bob; and a bot.
fn cloud() -> Cloud {
    let cloud = Cloud::new();
    cloud.add_user(PHONE, person(7, "Alice"));
    cloud.set_code(PHONE, CODE);
    cloud.add_user("33 1", person(8, "Bob"));
    cloud.add_bot("9:secret", person(9, "Robot"));
    cloud
}

fn connect_as(dc: &Loopback, number: u16) -> Client {
    let init = InitConnection::new(LAYER, &ClientInfo::default().with_api_id(1)).expect("an application");
    let mut options: ConnectOptions = dc.connect_options().with_init(init);
    options.handshake.dc = DcId::production(number);
    blocking::connect(options).expect("a connection")
}

fn connect(dc: &Loopback) -> Client {
    connect_as(dc, dc.dc().number())
}

/// A client that the test has logged in.
fn logged_in(dc: &Loopback, user: i64) -> Client {
    let known: Vec<_> = dc.engine().keys().iter().map(|key| key.auth_key().id()).collect();
    let client = connect(dc);
    client.invoke(&help::GetNearestDc {}).wait().expect("an answer");
    let keys = dc.engine().keys();
    let key = keys.iter().map(|key| key.auth_key().id()).find(|id| !known.contains(id)).expect("its key");
    dc.cloud().log_in(key, user);
    client.invoke(&updates::GetState {}).wait().expect("logged in");
    client
}

fn refusal<T: core::fmt::Debug>(answer: Result<T, InvokeError>) -> String {
    match answer {
        Err(InvokeError::Call(error)) => format!("{} {}", error.code, error.message),
        other => panic!("{other:?} is no error of the datacenter"),
    }
}

fn send_code(client: &Client, phone: &str) -> Result<String, InvokeError> {
    let settings = types::CodeSettings::default();
    let call = auth::SendCode { phone_number: phone, api_id: 1, api_hash: "", settings: (&settings).into() };
    let sent = client.invoke(&call).wait()?;
    match sent.get() {
        enums::auth::SentCode::SentCode(sent) => Ok(sent.phone_code_hash.to_owned()),
        other => panic!("{other:?}"),
    }
}

type Authorization = Decoded<enums::auth::Authorization<'static>>;

fn sign_in(client: &Client, phone: &str, hash: &str, code: &str) -> Result<Authorization, InvokeError> {
    let (phone_code_hash, phone_code) = (hash, Some(code));
    let call = auth::SignIn { phone_number: phone, phone_code_hash, phone_code, email_verification: None };
    client.invoke(&call).wait()
}

fn user_of(authorization: &Authorization) -> i64 {
    let enums::auth::Authorization::Authorization(authorization) = authorization.get() else {
        panic!("{authorization:?}")
    };
    let enums::User::User(user) = authorization.user else { panic!("{:?}", authorization.user) };
    assert!(user.is_self);
    user.id
}

fn prove(client: &Client, password: &str) -> Result<Authorization, InvokeError> {
    use enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow as Known;

    let settings = client.invoke(&account::GetPassword {}).wait()?;
    let settings = settings.get();
    let Some(Known(algorithm)) = settings.current_algo else { panic!("{settings:?}") };
    let mut rng = Drbg::from_os().expect("randomness");
    let group =
        Group::check(algorithm.p, algorithm.g, &mut PrimeCache::new(), &mut rng).expect("a good group");
    let parameters = srp::Parameters { group: &group, salt1: algorithm.salt1, salt2: algorithm.salt2 };
    let srp_b = settings.srp_b.expect("a challenge");
    let proof = srp::prove(password.as_bytes(), &parameters, srp_b, &mut rng).expect("a proof");
    let proof = types::InputCheckPasswordSrp {
        srp_id: settings.srp_id.expect("a challenge"),
        a: &proof.a,
        m1: &proof.m1,
    };
    let password = enums::InputCheckPasswordSrp::InputCheckPasswordSrp(&proof);
    client.invoke(&auth::CheckPassword { password }).wait()
}

#[test]
fn a_user_logs_in_with_code_and_password_and_out_again() {
    let cloud = cloud();
    cloud.set_password(7, Some(PASSWORD));
    let dc = Options::new().cloud(&cloud).start().expect("a port is free");
    let client = connect(&dc);
    assert_eq!(refusal(client.invoke(&updates::GetState {}).wait()), "401 AUTH_KEY_UNREGISTERED");
    let hash = send_code(&client, "49123456").expect("a code is sent");
    assert_eq!(cloud.code(PHONE).as_deref(), Some(CODE));
    assert_eq!(refusal(sign_in(&client, PHONE, &hash, "00000")), "400 PHONE_CODE_INVALID");
    assert_eq!(refusal(sign_in(&client, "33 1", &hash, CODE)), "400 PHONE_CODE_EXPIRED");
    assert_eq!(refusal(sign_in(&client, PHONE, &hash, CODE)), "401 SESSION_PASSWORD_NEEDED");
    assert_eq!(refusal(client.invoke(&updates::GetState {}).wait()), "401 AUTH_KEY_UNREGISTERED");
    assert_eq!(refusal(prove(&client, "wrong horse")), "400 PASSWORD_HASH_INVALID");
    assert!(cloud.logins(7).is_empty());
    assert_eq!(user_of(&prove(&client, PASSWORD).expect("the right password")), 7);
    assert_eq!(cloud.logins(7).len(), 1);
    client.invoke(&updates::GetState {}).wait().expect("logged in");
    client.invoke(&auth::LogOut {}).wait().expect("an answer");
    assert!(cloud.logins(7).is_empty());
    assert_eq!(refusal(client.invoke(&updates::GetState {}).wait()), "401 AUTH_KEY_UNREGISTERED");
}

#[test]
fn a_number_without_account_signs_up() {
    let dc = Loopback::start().expect("a port is free");
    let client = connect(&dc);
    let hash = send_code(&client, "+1 2").expect("a code is sent");
    let sign_up = || {
        let call = auth::SignUp {
            no_joined_notifications: false,
            phone_number: "+1 2",
            phone_code_hash: &hash,
            first_name: "Claude",
            last_name: "",
        };
        client.invoke(&call).wait()
    };
    assert_eq!(refusal(sign_up()), "400 PHONE_CODE_INVALID", "nobody has entered the code");
    let code = dc.cloud().code("+1 2").expect("it was made up");
    let answer = sign_in(&client, "+1 2", &hash, &code).expect("the right code");
    assert!(matches!(answer.get(), enums::auth::Authorization::SignUpRequired(_)));
    let user = user_of(&sign_up().expect("the code was entered"));
    assert_eq!(dc.cloud().account(user).expect("an account").first_name, "Claude");
}

#[test]
fn datacenters_that_share_a_cloud_are_told_apart() {
    let cloud = cloud();
    cloud.set_home(7, 4);
    cloud.add_file(1794, Some(2), vec![0x5a; 5000]);
    let two = Options::new().cloud(&cloud).start().expect("a port is free");
    let four = Options::new().cloud(&cloud).dc(DcId::production(4)).start().expect("a port is free");
    let at_two = connect(&two);
    let config = at_two.invoke(&help::GetConfig {}).wait().expect("an answer");
    let told: Vec<_> = config.get().dc_options.iter().map(|option| (option.id, option.port)).collect();
    assert_eq!(told, [(2, i32::from(two.address().port())), (4, i32::from(four.address().port()))]);
    assert_eq!(refusal(send_code(&at_two, PHONE)), "303 PHONE_MIGRATE_4");

    let at_four = connect(&four);
    let hash = send_code(&at_four, PHONE).expect("the account lives here");
    assert_eq!(user_of(&sign_in(&at_four, PHONE, &hash, CODE).expect("the right code")), 7);
    assert_eq!(refusal(get_file(&at_four, 0, false)), "303 FILE_MIGRATE_2");
    let exported = at_four.invoke(&auth::ExportAuthorization { dc_id: 2 }).wait().expect("logged in");
    let import = auth::ImportAuthorization { id: exported.get().id, bytes: exported.get().bytes };
    assert_eq!(user_of(&at_two.invoke(&import).wait().expect("good for one use")), 7);
    assert_eq!(refusal(at_two.invoke(&import).wait()), "400 AUTH_BYTES_INVALID");
    assert_eq!(cloud.logins(7).len(), 2);
    let file = get_file(&at_two, 4096, false).expect("it lies here");
    assert!(matches!(file.get(), enums::upload::File::File(file) if file.bytes == [0x5a; 904]));
}

fn get_file(
    client: &Client,
    offset: i64,
    cdn: bool,
) -> Result<Decoded<enums::upload::File<'static>>, InvokeError> {
    let document =
        types::InputDocumentFileLocation { id: 1794, access_hash: 0, file_reference: &[], thumb_size: "" };
    let location = enums::InputFileLocation::InputDocumentFileLocation(&document);
    let call = upload::GetFile { precise: false, cdn_supported: cdn, location, offset, limit: 4096 };
    client.invoke(&call).wait()
}

#[test]
fn a_file_comes_from_a_cache_encrypted_and_with_hashes() {
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let cloud = cloud();
    cloud.add_file(1794, None, content.clone());
    assert!(cloud.cache_file(1794, 203));
    let dc = Options::new().cloud(&cloud).start().expect("a port is free");
    let cache = Options::new().cloud(&cloud).dc(DcId::production(203)).cdn().start().expect("a port is free");
    let client = connect(&dc);
    let config = client.invoke(&help::GetCdnConfig {}).wait().expect("an answer");
    let key = &config.get().public_keys[0];
    assert_eq!((key.dc_id, key.public_key), (203, &*cache.public_key().to_pem().expect("a key")));

    let file = get_file(&client, 4096, false).expect("a client that knows no caches gets the file");
    assert!(matches!(file.get(), enums::upload::File::File(file) if *file.bytes == content[4096..8192]));
    let file = get_file(&client, 4096, true).expect("an answer");
    let enums::upload::File::CdnRedirect(redirect) = file.get() else { panic!("{file:?}") };
    assert_eq!(redirect.dc_id, 203);

    let at_cache = connect(&cache);
    assert_eq!(refusal(at_cache.invoke(&updates::GetState {}).wait()), "400 METHOD_INVALID");
    let (offset, limit) = (131_072, 131_072);
    let get = upload::GetCdnFile { file_token: redirect.file_token, offset, limit };
    let needed = at_cache.invoke(&get).wait().expect("an answer");
    let enums::upload::CdnFile::ReuploadNeeded(needed) = needed.get() else { panic!("{needed:?}") };
    let reupload =
        upload::ReuploadCdnFile { file_token: redirect.file_token, request_token: needed.request_token };
    client.invoke(&reupload).wait().expect("an answer");
    let part = at_cache.invoke(&get).wait().expect("an answer");
    let enums::upload::CdnFile::CdnFile(part) = part.get() else { panic!("{part:?}") };
    let mut bytes = part.bytes.to_vec();
    assert_ne!(bytes, content[131_072..262_144], "it is encrypted");
    let key = CdnFileKey::new(redirect.encryption_key, redirect.encryption_iv).expect("a good key");
    key.decrypt(offset as u64, &mut bytes).expect("a good offset");
    assert_eq!(bytes, content[131_072..262_144]);
    let hashes = upload::GetCdnFileHashes { file_token: redirect.file_token, offset };
    let hashes = client.invoke(&hashes).wait().expect("an answer");
    let hashes: Vec<_> = hashes
        .get()
        .iter()
        .map(|hash| cdn::FileHash {
            offset: hash.offset as u64,
            limit: hash.limit as u32,
            hash: hash.hash.try_into().expect("32 bytes"),
        })
        .collect();
    cdn::check_part(offset as u64, &bytes, &hashes).expect("the hashes of the file");
}

/// Waits for the next message that somebody else wrote.
fn next_message(updates: &mut Updates) -> (i64, String, i32) {
    loop {
        let update = updates.wait().expect("the client lives");
        let Update::Object(object) = update else { continue };
        let decoded = object.decode::<Decoded<enums::Updates<'static>>>().expect("updates");
        if let enums::Updates::UpdateShortMessage(short) = decoded.get() {
            return (short.user_id, short.message.to_owned(), short.pts);
        }
    }
}

fn send(client: &Client, to: i64, text: &str, random_id: i64) -> Result<(i32, i32), InvokeError> {
    let peer = enums::InputPeer::User(types::InputPeerUser { user_id: to, access_hash: 0 });
    let call = messages::SendMessage { peer, message: text, random_id, ..no_message() };
    let sent = client.invoke(&call).wait()?;
    match sent.get() {
        enums::Updates::UpdateShortSentMessage(sent) => Ok((sent.id, sent.pts)),
        other => panic!("{other:?}"),
    }
}

const fn no_message() -> messages::SendMessage<'static> {
    messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: enums::InputPeer::Empty,
        reply_to: None,
        message: "",
        random_id: 0,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

#[test]
fn messages_reach_the_sessions_of_both_and_are_counted() {
    let dc = Options::new().cloud(&cloud()).start().expect("a port is free");
    let (alice, alice_too, bob) = (logged_in(&dc, 7), logged_in(&dc, 7), logged_in(&dc, 8));
    let (mut at_bob, mut at_alice) = (bob.updates(), alice_too.updates());
    let sent = send(&alice, 8, "hello", 1).expect("Bob exists");
    assert_eq!(sent, (1, 2));
    assert_eq!(next_message(&mut at_bob), (7, "hello".into(), 2));
    assert_eq!(next_message(&mut at_alice), (8, "hello".into(), 2), "her other session is told");
    assert_eq!(send(&alice, 8, "hello", 1).expect("a repetition"), sent, "it is sent once");
    assert_eq!(refusal(send(&alice, 99, "hello", 2)), "400 PEER_ID_INVALID");
    assert_eq!(refusal(send(&alice, 8, "", 3)), "400 MESSAGE_EMPTY");
    dc.cloud().send_message(8, 7, "a test may write too").expect("both exist");
    assert_eq!(next_message(&mut at_alice).1, "a test may write too");
    let seen: Vec<_> =
        dc.cloud().messages(7).into_iter().map(|message| (message.is_outgoing, message.text)).collect();
    assert_eq!(seen, [(true, "hello".into()), (false, "a test may write too".into())]);
    assert_eq!((dc.cloud().pts(7), dc.cloud().pts(8)), (Some(3), Some(3)));

    let peer = enums::InputPeer::User(types::InputPeerUser { user_id: 8, access_hash: 0 });
    let call = messages::GetHistory {
        peer,
        offset_id: 0,
        offset_date: 0,
        add_offset: 0,
        limit: 10,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let history = alice.invoke(&call).wait().expect("an answer");
    let enums::messages::Messages::Messages(history) = history.get() else { panic!("{history:?}") };
    let texts = history.messages.iter().map(|message| match message {
        enums::Message::Message(message) => message.message,
        other => panic!("{other:?}"),
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["a test may write too", "hello"]);
    assert_eq!(history.users.len(), 2);
}

#[test]
fn what_a_client_has_missed_is_in_the_difference() {
    let dc = Options::new().cloud(&cloud()).start().expect("a port is free");
    let bob = logged_in(&dc, 8);
    let state = *bob.invoke(&updates::GetState {}).wait().expect("an answer").get();
    let ask = |pts| {
        let call = updates::GetDifference {
            pts,
            pts_limit: None,
            pts_total_limit: None,
            date: state.date,
            qts: 0,
            qts_limit: None,
        };
        bob.invoke(&call).wait()
    };
    let none = ask(state.pts).expect("an answer");
    assert!(matches!(none.get(), enums::updates::Difference::Empty(_)));
    assert_eq!(refusal(ask(0)), "400 PERSISTENT_TIMESTAMP_EMPTY");
    for number in 0..150 {
        dc.cloud().send_message(7, 8, &format!("number {number}")).expect("both exist");
    }
    let slice = ask(state.pts).expect("an answer");
    let enums::updates::Difference::Slice(slice) = slice.get() else { panic!("{slice:?}") };
    assert_eq!((slice.new_messages.len(), slice.intermediate_state.pts), (100, state.pts + 100));
    let rest = ask(slice.intermediate_state.pts).expect("an answer");
    let enums::updates::Difference::Difference(rest) = rest.get() else { panic!("{rest:?}") };
    assert_eq!((rest.new_messages.len(), rest.state.pts), (50, state.pts + 150));
    assert_eq!(rest.state.unread_count, 150);
    let enums::Message::Message(last) = rest.new_messages[49] else { panic!("{rest:?}") };
    assert_eq!(last.message, "number 149");
    assert!(rest.users.iter().any(|user| matches!(user, enums::User::User(user) if user.id == 7)));
}

#[test]
fn a_bot_is_found_by_its_name_and_answers() {
    let dc = Options::new().cloud(&cloud()).start().expect("a port is free");
    let bot = connect(&dc);
    let log_in =
        |token| auth::ImportBotAuthorization { flags: 0, api_id: 1, api_hash: "", bot_auth_token: token };
    assert_eq!(refusal(bot.invoke(&log_in("9:wrong")).wait()), "400 ACCESS_TOKEN_INVALID");
    assert_eq!(user_of(&bot.invoke(&log_in("9:secret")).wait().expect("the token is known")), 9);
    let alice = logged_in(&dc, 7);
    let found = alice
        .invoke(&contacts::ResolveUsername { username: "ROBOT", referer: None })
        .wait()
        .expect("there is one");
    let enums::User::User(user) = found.get().users[0] else { panic!("{found:?}") };
    assert!(user.bot && user.id == 9 && user.phone.is_none());
    let (mut at_bot, mut at_alice) = (bot.updates(), alice.updates());
    send(&alice, 9, "/start", 5).expect("the bot exists");
    assert_eq!(next_message(&mut at_bot).1, "/start");
    send(&bot, 7, "welcome", 6).expect("Alice exists");
    assert_eq!(next_message(&mut at_alice).1, "welcome");
    let ids = [
        enums::InputUser::UserSelf,
        enums::InputUser::InputUser(types::InputUser { user_id: 9, access_hash: 0 }),
    ];
    let found = alice.invoke(&users::GetUsers { id: &ids }).wait().expect("an answer");
    assert_eq!(found.get().len(), 2);
}

#[test]
fn a_login_that_a_test_ends_is_gone() {
    let dc = Options::new().cloud(&cloud()).start().expect("a port is free");
    let alice = logged_in(&dc, 7);
    let mut updates = alice.updates();
    dc.cloud().log_out(dc.cloud().logins(7)[0]);
    assert_eq!(refusal(alice.invoke(&updates::GetState {}).wait()), "401 AUTH_KEY_UNREGISTERED");
    dc.cloud().send_message(8, 7, "unheard").expect("both exist");
    // An update would have come before this answer.
    alice.invoke(&help::GetNearestDc {}).wait().expect("an answer");
    while let Waited::Update(update) = updates.wait_timeout(Duration::ZERO) {
        assert!(!matches!(update, Update::Object(_)), "{update:?}");
    }
}
