//! The program as its users run it: wrong input, exit codes, secrets, logins.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::net::TcpListener;
use std::path::Path;

use support::{Run, folder, telegram};

fn run(args: &[&str]) -> Run {
    Run::new(args, "")
}

/// Wrong arguments, and the error; FILES is the folder of the tests' files.
const WRONG_INPUT: &[(&[&str], &str)] = &[
    (&["pin"], "unrecognized subcommand 'pin' (a similar subcommand exists: 'ping'; see --help)"),
    (
        &["ping", "--cuont", "1"],
        "unexpected argument '--cuont' found (a similar argument exists: '--count'; see --help)",
    ),
    (&["ping", "0"], "there is no datacenter 0: give a number from 1 to 5, or HOST:PORT"),
    (&["ping", "4", "--test"], "there is no datacenter 4: give a number from 1 to 3, or HOST:PORT"),
    (
        &["ping", "example.com"],
        "invalid value 'example.com' for '[DC|ADDRESS]': expected a number, HOST:PORT, or `embedded` (see --help)",
    ),
    (
        &["ping", "example.com:https"],
        "invalid value 'example.com:https' for '[DC|ADDRESS]': `https` is no port (see --help)",
    ),
    (&["ping", "embedded", "-4", "-6"], "the argument '--ipv4' cannot be used with '--ipv6' (see --help)"),
    (&["ping", "embedded", "-6"], "DC 2 has no address of this kind"),
    (
        &["ping", "embedded", "--transport", "full", "--carrier", "ws"],
        "a WebSocket carries obfuscated framings, and `full` is none",
    ),
    (
        &["ping", "embedded", "--mtproxy", "tg://proxy?server=a&port=1"],
        "the link of the MTProxy cannot be read: the link has no secret",
    ),
    (
        &["ping", "2", "--rsa-key", "nowhere.pem"],
        "cannot read nowhere.pem: No such file or directory (os error 2)",
    ),
    (
        &["ping", "2", "--rsa-key", "FILES/new.tl"],
        "FILES/new.tl has no RSA public key: key is not an RSA key in PKCS#1, SPKI or PKCS#8 form",
    ),
    (
        &["serve", "--listen", "here"],
        "invalid value 'here' for '--listen <ADDRESS:PORT>': invalid socket address syntax (see --help)",
    ),
    (
        &["serve", "--fault", "explode"],
        "invalid value 'explode' for '--fault <FAULT>': there is no fault `explode` (see --help)",
    ),
    (&["serve", "--secret", "zz"], "a secret of an MTProxy cannot be read: neither hexadecimal nor base64"),
    (
        &["serve", "--answers", "FILES/new.tl"],
        "FILES/new.tl is no JSON object: expected value at line 1 column 1",
    ),
    (&["call", "help.getConfg"], "there is no method `help.getConfg`"),
    (&["call", "help.getConfig", "[]"], "the parameters are no JSON object, such as {\"limit\":1}"),
    (
        &["call", "help.getConfig", "{"],
        "the parameters are no JSON: EOF while parsing an object at line 1 column 1",
    ),
    (&["call", "help.getConfig", "@nowhere"], "cannot read nowhere: No such file or directory (os error 2)"),
    (
        &["call", "users.getUsers", "{\"id\":[{\"_\":\"inputUserSel\"}]}"],
        "users.getUsers.id[0]: the schema has no constructor or function `inputUserSel`",
    ),
    (&["call", "contacts.getContacts"], "contacts.getContacts: field `hash:long` is missing"),
    (&["login"], "--to chappe writes a folder: give it by --output"),
    (
        &["login", "--to", "telethon"],
        "the session string is a secret: give --output FILE, or --show-secrets to print it",
    ),
    (
        &["session", "show", "nowhere.session"],
        "nowhere.session: there is no such file, and a session string is longer",
    ),
    (&["session", "show", "FILES/new.tl"], "FILES/new.tl: not a session string: the text is not base64"),
    (&["schema", "check", "nowhere.tl"], "cannot read nowhere.tl: No such file or directory (os error 2)"),
    (&["schema", "show", "FILES/broken.tl", "Point"], "FILES/broken.tl:2:1: expected `;`, found `line`"),
    (&["schema", "show", "FILES/new.tl", "Pont"], "FILES/new.tl has no `Pont`"),
    (&["schema", "show", "FILES/new.tl", "poin"], "FILES/new.tl has no `poin`: did you mean point?"),
    (
        &["bench", "crypto", "--seconds", "0"],
        "invalid value '0' for '--seconds <SECONDS>': expected 0.05 to 600 (see --help)",
    ),
    (
        &["completions", "cmd"],
        "invalid value 'cmd' for '<SHELL>' [possible values: bash, elvish, fish, powershell, zsh] (see --help)",
    ),
];

#[test]
fn wrong_input_is_one_line_and_exit_code_2() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").display().to_string();
    let mut wrong = Vec::new();
    for (args, expected) in WRONG_INPUT {
        let args: Vec<String> = args.iter().map(|arg| arg.replace("FILES", &files)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let expected = format!("error: {}\n", expected.replace("FILES", &files));
        let run = run(&args);
        if run.code != 2 || run.stderr != expected || !run.stdout.is_empty() {
            wrong.push(format!("{args:?}: {} {}{}", run.code, run.stderr, run.stdout));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_exit_code_names_the_culprit() {
    // Without the listener, connections to the port are refused.
    let closed =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().to_string();
    assert_eq!(run(&["ping", &closed]).code, 3, "the network");
    let call = run(&["call", "users.getUsers", "{\"id\":[{\"_\":\"inputUserSelf\"}]}", "--at", "embedded"]);
    assert_eq!((call.code, call.stderr.as_str()), (4, "error: AUTH_KEY_UNREGISTERED (401)\n"), "the server");
    // The embedded datacenter has a key of its own, which is none of Telegram's.
    let server = telegram();
    let address = server.address().to_string();
    let stranger = run(&["ping", &address]);
    assert_eq!(stranger.code, 5, "the other end: {}", stranger.stderr);
    let taken = run(&["serve", "--listen", &address]);
    assert_eq!(taken.code, 6, "this machine: {}", taken.stderr);
    assert!(taken.stderr.starts_with(&format!("error: cannot serve on {address}: ")), "{}", taken.stderr);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/broken.tl").display().to_string();
    assert_eq!(run(&["schema", "check", &file]).code, 1, "a finding");
}

#[test]
fn with_json_every_answer_and_failure_is_json() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect(text);
    let failure = run(&["--json", "ping", "9"]);
    assert_eq!(json(&failure.stderr)["blame"], "input");
    assert_eq!(json(&run(&["--json", "nonsense"]).stderr)["exit_code"], 2);
    let ping = run(&["ping", "embedded", "--count", "1", "--json"]);
    let events: Vec<_> = ping.stdout.lines().map(|line| json(line)["event"].clone()).collect();
    let steps = ["embedded", "connected", "step", "step", "step", "key", "pong", "statistics"];
    assert_eq!(events, steps);
    let ways = json(&run(&["ping", "embedded", "--all", "--json"]).stdout);
    assert!(ways["ways"].as_array().unwrap().iter().all(|way| way["error"].is_null()), "{ways}");
    let findings = json(&run(&["doctor", "embedded", "--json"]).stdout);
    assert!(findings["findings"].as_array().unwrap().iter().all(|finding| finding["verdict"] == "good"));
}

#[test]
fn secrets_are_hidden_unless_they_are_asked_for() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/session.txt");
    let string = std::fs::read_to_string(&file).unwrap();
    let file = file.display().to_string();
    let hidden = run(&["session", "show", &file]);
    assert!(hidden.stdout.contains("(hidden, see --show-secrets)"), "{}", hidden.stdout);
    let shown = run(&["session", "show", &file, "--show-secrets", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let key = shown["keys"][0]["auth_key"].as_str().unwrap();
    assert_eq!(key.len(), 512);
    assert!(!hidden.stdout.contains(&key[..16]));
    let printed = run(&["session", "convert", &file, "--to", "telethon", "--show-secrets"]);
    assert_eq!(printed.stdout.trim_end().trim_end_matches('='), string.trim_end().trim_end_matches('='));
    // A damaged string is a secret too.
    let damaged = run(&["session", "show", &string.trim_end()[..300]]);
    assert_eq!(damaged.code, 2);
    assert!(!damaged.stderr.contains(&string[..40]), "{}", damaged.stderr);
    let proxy = run(&["ping", "2", "--proxy", "ftp://me:hunter2@127.0.0.1:1"]);
    assert!(proxy.code == 2 && !proxy.stderr.contains("hunter2"), "{}", proxy.stderr);
}

#[test]
fn a_user_logs_in_with_code_and_password() {
    let server = telegram();
    let (folder, address) = (folder("login"), server.address().to_string());
    let key = folder.join("public.pem");
    std::fs::write(&key, server.public_key().to_pem().unwrap()).unwrap();
    let (key, output) = (key.display().to_string(), folder.join("keys").display().to_string());
    let at = ["--at", &address, "--rsa-key", &key];
    let login = |input: &str| {
        let args = [&["login", "--phone", "+4912345678", "--output", &output][..], &at].concat();
        Run::with(&args, input, &[("CHAPPE_API_HASH", "0123456789abcdef")])
    };
    let wrong = login("11111\n");
    assert_eq!(
        (wrong.code, wrong.stderr.contains("PHONE_CODE_INVALID (400)")),
        (4, true),
        "{}",
        wrong.stderr
    );
    let wrong = login("54321\nhunter2\n");
    assert_eq!(
        (wrong.code, wrong.stderr.contains("PASSWORD_HASH_INVALID (400)")),
        (4, true),
        "{}",
        wrong.stderr
    );
    let right = login("54321\ncorrect horse\n");
    assert_eq!(right.code, 0, "{}", right.stderr);
    assert_eq!(
        right.stdout,
        format!("logged in as user 7 at datacenter 2\nwrote 1 key for chappe to {output}\n")
    );
    let shown = run(&["session", "show", &output]);
    assert!(shown.stdout.starts_with("library  chappe\n"), "{}", shown.stdout);
    let again = login("54321\ncorrect horse\n");
    assert_eq!(again.code, 2, "a key is not overwritten: {}", again.stderr);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_user_logs_in_with_a_qr_code_that_another_device_scans() {
    let server = telegram();
    let (folder, address) = (folder("qr"), server.address().to_string());
    let key = folder.join("public.pem");
    std::fs::write(&key, server.public_key().to_pem().unwrap()).unwrap();
    let (key, output) = (key.display().to_string(), folder.join("session.txt").display().to_string());
    let args =
        ["login", "--qr", "--at", &address, "--rsa-key", &key, "--to", "pyrogram", "--output", &output];
    let login = Run::with(&args, "", &[("CHAPPE_API_HASH", "0123456789abcdef")]);
    assert_eq!(login.code, 0, "{}", login.stderr);
    assert!(login.stderr.contains("tg://login?token=c2NhbiBtZQ"), "{}", login.stderr);
    assert!(login.stdout.starts_with("logged in as user 7 at datacenter 2\n"), "{}", login.stdout);
    let shown = run(&["session", "show", &output]);
    assert!(shown.stdout.contains("user     7\n"), "{}", shown.stdout);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn session_files_are_read_with_the_program_sqlite3_or_it_is_named() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chappe-conformance/interop/sessions/fixtures");
    // They are not in the archive of the crate.
    let files =
        files.exists().then_some(["telethon-1.45.0", "pyrogram-2.0.106", "mtcute-0.30.3", "grammers-0.11"]);
    let has_sqlite = std::process::Command::new("sqlite3").arg("--version").output().is_ok();
    for name in files.iter().flatten() {
        let file = format!(
            "{}/../chappe-conformance/interop/sessions/fixtures/{name}.session",
            env!("CARGO_MANIFEST_DIR")
        );
        let shown = run(&["session", "show", &file]);
        if has_sqlite {
            assert!(shown.stdout.contains("08d3c873b7e89ff2"), "{name}: {}{}", shown.stdout, shown.stderr);
        } else {
            assert_eq!(
                (shown.code, shown.stderr.contains("`sqlite3` does not start")),
                (6, true),
                "{}",
                shown.stderr
            );
        }
    }
}

#[test]
fn the_doctor_knows_a_login_page_from_a_silent_firewall() {
    let portal = support::web_server(
        "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
    );
    let found = run(&["doctor", &portal]);
    assert_eq!(found.code, 1);
    assert!(
        found.stdout.starts_with("problem  login page: a web server answers in the datacenter's place\n"),
        "{}",
        found.stdout
    );
    let silent = support::silent_server();
    let found = run(&["doctor", &silent, "--timeout", "1"]);
    assert_eq!(found.code, 1);
    assert!(!found.stdout.contains("login page"), "{}", found.stdout);
    assert!(found.stdout.contains("A firewall blocks it"), "{}", found.stdout);
}

#[test]
fn the_doctor_judges_a_proxy() {
    let server = telegram();
    let address = server.address();
    let (ip, port) = (address.ip(), address.port());
    let folder = folder("doctor");
    let key = folder.join("public.pem");
    std::fs::write(&key, server.public_key().to_pem().unwrap()).unwrap();
    let key = key.display().to_string();
    let doctor = |secret: &str| {
        let link = format!("tg://proxy?server={ip}&port={port}&secret={secret}");
        run(&["doctor", "2", "--rsa-key", &key, "--mtproxy", &link, "--timeout", "5"])
    };
    let right = doctor(support::SECRET);
    assert_eq!(right.code, 0, "{}{}", right.stdout, right.stderr);
    assert!(right.stdout.starts_with("good     proxy: forwards to the datacenter"), "{}", right.stdout);
    let wrong = doctor("ee101112131415161718191a1b1c1d1e1f6578616d706c652e636f6d");
    assert_eq!(wrong.code, 1, "{}", wrong.stdout);
    assert!(wrong.stdout.starts_with("problem  proxy: "), "{}", wrong.stdout);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_command_has_help_completions_and_a_manual_page() {
    let commands = run(&["--help"]);
    let names: Vec<&str> = commands
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        assert!(run(&[name, "--help"]).stdout.contains(&format!("Usage: chappe {name}")), "{name}");
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).stdout;
        assert!(names.iter().all(|name| script.contains(name)), "{shell}");
    }
    let folder = folder("man");
    assert_eq!(run(&["man", &folder.display().to_string()]).code, 0);
    for name in names.iter().filter(|name| **name != "help") {
        assert!(folder.join(format!("chappe-{name}.1")).exists(), "{name}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
