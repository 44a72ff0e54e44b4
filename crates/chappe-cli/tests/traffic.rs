//! `tap`, `decrypt` and `decode`, tried on traffic of a client with the embedded datacenter.

#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests run with std")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use chappe::api::functions::help::GetConfig;
use chappe::loopback::Loopback;
use chappe::net::{Address, KeyLogFile, WireLog, blocking};

fn chappe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chappe"));
    command.args(args).env_remove("MTPROTO_KEYLOGFILE");
    command
}

fn run(args: &[&str]) -> Output {
    chappe(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// An empty folder of this name.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A line without what differs between observers: the time, the number of the connection, and how long an answer took.
fn normal(line: &str) -> String {
    let line = line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
    match line.split_once(" after ") {
        Some((before, rest)) => before.to_owned() + rest.split_once(" ms").map_or("", |(_, behind)| behind),
        None => line,
    }
}

/// The lines about messages.
fn messages(lines: &str) -> BTreeSet<String> {
    lines.lines().filter(|line| line.contains(", msg_id ")).map(normal).collect()
}

#[test]
fn tap_decrypt_and_the_wire_log_tell_the_same() {
    let folder = folder("tap");
    let (keys, capture) = (folder.join("keys.log"), folder.join("capture.pcap"));
    let (keys_arg, capture_arg) = (keys.to_str().expect("text"), capture.to_str().expect("text"));
    let server = Loopback::start().expect("it starts");
    let mut options = server.connect_options();
    let to = options.candidates[0].address.to_string();
    let mut tap = chappe(&["tap", "--listen", "127.0.0.1:0", "--to", &to, "--count", "1"])
        .args(["--key-log", keys_arg, "--write", capture_arg])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut tapped = BufReader::new(tap.stdout.take().expect("it is piped"));
    let mut first = String::new();
    tapped.read_line(&mut first).expect("it tells where it listens");
    let listening = first.split([' ', ',']).nth(2).expect("an address");

    let seen = Arc::new(Mutex::new(String::new()));
    let lines = Arc::clone(&seen);
    let log = WireLog::new(move |record| {
        let line = record.line(&chappe::api::name_for_id).to_string();
        *lines.lock().expect("no panic") += &(line + "\n");
    });
    options.candidates.truncate(1);
    options.candidates[0].address = Address::Socket(listening.parse().expect("an address"));
    let key_log = KeyLogFile::open(&keys).expect("a new file");
    let client = blocking::connect(options.with_key_log(Arc::new(key_log)).with_wire_log(log));
    let client = client.expect("it connects through the tap");
    client.invoke(&GetConfig {}).wait().expect("it is answered");
    client.close().wait();
    drop(client);
    let mut live = String::new();
    tapped.read_to_string(&mut live).expect("text");
    assert!(tap.wait().expect("it ends").success());

    let decrypted = run(&["decrypt", capture_arg, "--key-log", keys_arg]);
    assert!(decrypted.status.success(), "{}", text(&decrypted.stderr));
    let decrypted = text(&decrypted.stdout);
    assert!(live.contains("transport "), "{live}");
    assert!(decrypted.contains("rpc_result config to help.getConfig"), "{decrypted}");
    assert_eq!(messages(&live), messages(&decrypted));
    // The client may have left before the last message arrived.
    let own = messages(&seen.lock().expect("no panic"));
    assert!(own.is_subset(&messages(&live)), "{own:#?} {live}");
    assert!(own.iter().any(|line| line.contains("rpc_result config to help.getConfig")), "{own:#?}");

    // Without keys the handshake is shown, and envelopes are counted.
    let closed = run(&["decrypt", capture_arg]);
    let shown = text(&closed.stdout);
    assert!(
        shown.contains("resPQ") && shown.contains("sealed envelope") && !shown.contains("help.getConfig")
    );
    assert!(text(&closed.stderr).contains("envelopes need keys that were not given"));

    for (args, expected) in [
        (&["--json", "--bodies"][..], "\"object\":{\"_\":\"config\""),
        (&["--tshark-json"][..], "\"mtproto.name\": \"rpc_result\""),
        (&["--bodies"][..], "dc_options"),
    ] {
        let shown =
            chappe(&["decrypt", capture_arg, "--key-log", keys_arg]).args(args).output().expect("it runs");
        let shown = text(&shown.stdout);
        assert!(shown.contains(expected), "{args:?}: {shown}");
        if args.contains(&"--tshark-json") {
            let packets: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
            let source = &packets[0]["_source"]["layers"];
            assert_eq!(source["ip"]["ip.dst"], "127.0.0.1");
        } else if args.contains(&"--json") {
            assert!(shown.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
    }
}

#[test]
fn decode_tells_what_bytes_are() {
    let link = "https://t.me/proxy?server=example.com&port=443&secret=dd00112233445566778899aabbccddeeff";
    let cases: [(&[&str], &str); 8] = [
        (&["6b18f9c4"], "TL object\n0000 help.getConfig#c4f9186b\n"),
        (&["ec77be7a0500000000000000"], "TL object\n0000 ping#7abe77ec\n0004   ping_id: 5\n"),
        (&["6cfeffff"], "transport error\n0000   code: -404\n"),
        (&["ee00112233445566778899aabbccddeeff6578616d706c652e636f6d"], "domain: example.com"),
        (&[link], "server: example.com"),
        (
            &["000000000000000000000000503dc56514000000f18e7ebe000102030405060708090a0b0c0d0e0f"],
            "plain envelope of a client",
        ),
        (
            &[
                "eeeeeeee28000000000000000000000000000000503dc56514000000f18e7ebe000102030405060708090a0b0c0d0e0f",
            ],
            "transport: intermediate",
        ),
        (
            &["28000000000000000000000000000000503dc56514000000f18e7ebe000102030405060708090a0b0c0d0e0f"],
            "frames of the transport intermediate",
        ),
    ];
    for (args, expected) in cases {
        let shown = run(&[&["decode"], args].concat());
        assert!(shown.status.success(), "{args:?}: {}", text(&shown.stderr));
        let shown = text(&shown.stdout);
        assert!(shown.contains(expected), "{args:?}: {shown}");
        assert!(!shown.contains("00112233445566778899aabbccddeeff"), "a secret is hidden: {shown}");
        let json = chappe(&["--json", "decode"]).args(args).output().expect("it runs");
        assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).is_ok(), "{args:?}");
    }
    let shown = run(&["decode", link, "--show-secrets"]);
    assert!(text(&shown.stdout).contains("secret: dd00112233445566778899aabbccddeeff"));
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let folder = folder("bad-input");
    let keys = folder.join("keys.log");
    fs::write(&keys, "AUTH_KEY 23cb9431a56e812f 00\n").expect("a file");
    let keys = keys.to_str().expect("text");
    let cut = folder.join("cut.pcap");
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    fs::write(&cut, [&header[..], &[1; 7]].concat()).expect("a file");
    let cut = cut.to_str().expect("text");
    let cases: [(&[&str], &str); 7] = [
        (&["decrypt", "no-such-file.pcap"], "cannot read no-such-file.pcap"),
        (&["decrypt", keys], "not a capture in the format pcap or pcapng"),
        (&["decrypt", cut], "capture ends in the middle of a packet, after 31 bytes"),
        (&["decrypt", cut, "--key-log", keys], "line 1: an auth_key has 512 hexadecimal digits, not 2"),
        (&["decode", "hello world"], "neither a file nor hexadecimal digits, base64, a link or a secret"),
        (&["decode", "0102030405"], "5 bytes that begin with 0102030405 are no object"),
        (&["decode", "6b18f9c4", "--layer", "3"], "no schema of layer 3 is at hand"),
    ];
    for (args, expected) in cases {
        let shown = run(args);
        let error = text(&shown.stderr);
        assert_eq!(shown.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(expected) && error.lines().count() == 1, "{args:?}: {error}");
    }
}
