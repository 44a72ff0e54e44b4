//! Every entry of every vector file is read by a test.
//!
//! Tests walk whole lists, so it is enough that each list has a test that names it, and that no list grows, shrinks
//! or appears unnoticed. Runs of the handshake are read one by one; each has its name in a test.
#![allow(clippy::std_instead_of_alloc, reason = "a test that reads files has std")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A list or a group of fields in a vector file, the number of its entries, and the files of the tests that read it.
type Part = (&'static str, &'static str, usize, &'static [&'static str]);

#[rustfmt::skip]
const PARTS: &[Part] = &[
    ("aes_ctr", "vectors", 4, &["crypto_aes.rs"]),
    ("aes_ige", "vectors", 9, &["crypto_aes.rs"]),
    ("aes_ige", "corruption", 1, &["crypto_aes.rs"]),
    ("aes_ige", "invalid", 4, &["crypto_aes.rs"]),
    ("auth_key_id", "vectors", 3, &["crypto_keys.rs"]),
    ("bind_temp_auth_key", "vectors", 2, &["crypto_keys.rs", "handshake/bind.rs"]),
    ("cdn", "chunks", 4, &["crypto_cdn.rs"]),
    ("cdn", "file_hashes", 2, &["crypto_cdn.rs"]),
    ("cdn", "iv_examples", 8, &["crypto_cdn.rs"]),
    ("dh", "groups", 9, &["crypto_dh.rs"]),
    ("dh", "exchanges", 4, &["crypto_dh.rs"]),
    ("dh", "range_checks", 4, &["crypto_dh.rs"]),
    ("envelope_plain", "vectors", 2, &["framing_plain.rs"]),
    ("envelope_plain", "negative", 3, &["framing_plain.rs"]),
    ("envelope_v2", "vectors", 5, &["crypto_envelope.rs", "framing_encrypted.rs"]),
    ("envelope_v2", "negative", 20, &["crypto_envelope.rs", "framing_encrypted.rs"]),
    ("fake_tls", "server_response_parts", 3, &["transport_fake_tls.rs"]),
    ("fake_tls", "first_client_write", 3, &["transport_fake_tls.rs"]),
    ("fake_tls", "split_write", 5, &["transport_fake_tls.rs"]),
    ("fake_tls", "negative", 4, &["transport_fake_tls.rs"]),
    ("handshake_derivations", "vectors", 3, &["crypto_keys.rs"]),
    ("handshake_full", "runs", 6, &["handshake/main.rs"]),
    ("handshake_negative", "client_must_reject", 36, &["handshake/negative.rs"]),
    ("handshake_negative", "server_must_reject", 25, &["handshake/negative.rs"]),
    ("handshake_samples", "sample_2024", 35, &["handshake/samples.rs"]),
    ("handshake_samples", "sample_2013", 31, &["crypto_rsa.rs", "handshake/samples.rs"]),
    ("kdf_v1", "vectors", 7, &["crypto_keys.rs"]),
    ("kdf_v2", "vectors", 6, &["crypto_keys.rs"]),
    ("msg_id_seq_no", "msg_ids", 6, &["framing_ids.rs"]),
    ("msg_id_seq_no", "server_checks", 8, &["framing_ids.rs", "session_server/checks.rs"]),
    ("msg_id_seq_no", "seq_no_sequence", 7, &["framing_ids.rs"]),
    ("msg_id_seq_no", "duplicate_window", 3, &["session_server/checks.rs"]),
    ("obfuscated2", "vectors", 8, &["transport_obfuscated.rs"]),
    ("obfuscated2", "forbidden_starts", 9, &["transport_obfuscated.rs"]),
    ("pq", "vectors", 17, &["crypto_pq.rs"]),
    ("pq", "negative", 7, &["crypto_pq.rs"]),
    ("rsa_fingerprints", "keys", 10, &["crypto_rsa.rs"]),
    ("rsa_fingerprints", "test_key", 16, &["crypto_rsa.rs", "handshake/main.rs"]),
    ("rsa_pad", "vectors", 5, &["crypto_rsa.rs"]),
    ("rsa_pad", "negative", 2, &["crypto_rsa.rs"]),
    ("secret_chat", "vectors", 2, &["crypto_secret_chat.rs"]),
    ("secret_chat", "mtproto1", 10, &["crypto_secret_chat.rs"]),
    ("secret_chat", "file", 8, &["crypto_secret_chat.rs"]),
    ("secret_chat", "key_visualization", 6, &["crypto_secret_chat.rs"]),
    ("srp", "vectors", 4, &["crypto_srp.rs"]),
    ("srp", "negative", 4, &["crypto_srp.rs"]),
    ("tl_misc", "vectors", 27, &["framing_container.rs", "framing_gzip.rs", "tl_vectors.rs"]),
    ("tl_misc", "negative", 13, &["framing_container.rs", "framing_gzip.rs", "tl_vectors.rs"]),
    ("tl_misc", "crc32_ids", 24, &["tl_vectors.rs"]),
    ("tl_misc", "crc32_from_schema_lines", 5, &["tl_vectors.rs"]),
    ("tl_strings", "vectors", 18, &["tl_vectors.rs"]),
    ("tl_strings", "negative", 8, &["tl_vectors.rs"]),
    ("transport_frames", "client_connection_prefix", 4, &["transport_frames.rs"]),
    ("transport_frames", "frames", 30, &["transport_frames.rs"]),
    ("transport_frames", "quick_ack_responses", 3, &["transport_frames.rs"]),
    ("transport_frames", "transport_errors", 4, &["transport_frames.rs"]),
    ("transport_frames", "negative", 8, &["transport_frames.rs"]),
    ("transport_frames", "server_detection", 10, &["transport_frames.rs"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every vector file: its name, and its content.
fn files() -> Vec<(String, Value)> {
    let entries = fs::read_dir(root().join("vectors")).expect("the folder is part of the crate");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("it can be read");
        (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    paths.iter().map(read).collect()
}

/// The number of entries of a list or a group of fields; `None` for a plain value.
fn entries(value: &Value) -> Option<usize> {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len))
}

#[test]
fn every_part_of_every_vector_file_is_listed_with_its_number_of_entries() {
    let mut found = BTreeSet::new();
    for (file, content) in files() {
        for (field, value) in content.as_object().expect("a vector file is an object") {
            if let Some(count) = entries(value) {
                found.insert((file.clone(), field.clone(), count));
            }
        }
    }
    let owned = |(file, field, count, _): &Part| ((*file).to_owned(), (*field).to_owned(), *count);
    let listed: BTreeSet<_> = PARTS.iter().map(owned).collect();
    assert_eq!(found, listed);
    assert_eq!(PARTS.len(), listed.len(), "a part is listed twice");
}

#[test]
fn every_part_is_read_by_the_tests_that_it_is_listed_with() {
    for (file, field, _, readers) in PARTS {
        assert!(!readers.is_empty(), "nothing reads {field} of {file}");
        for reader in *readers {
            let text = fs::read_to_string(root().join("tests").join(reader)).expect(reader);
            for word in [file, field] {
                assert!(text.contains(&format!("\"{word}\"")), "{reader} does not read {field} of {file}");
            }
            assert!(text.contains("#[test]") || text.contains("mod "), "{reader} has no test");
        }
    }
}

#[test]
fn every_run_of_the_handshake_is_named_by_a_test() {
    let files = files();
    let runs = files.iter().find(|(file, _)| file == "handshake_full").map(|(_, content)| &content["runs"]);
    let runs = runs.and_then(Value::as_object).expect("the runs are there");
    let text = fs::read_to_string(root().join("tests/handshake/full.rs")).expect("it can be read");
    for run in runs.keys() {
        assert!(text.contains(&format!("\"{run}\"")), "nothing reads {run}");
    }
}

#[test]
fn no_vector_file_is_without_a_list() {
    let listed: BTreeSet<&str> = PARTS.iter().map(|(file, ..)| *file).collect();
    let found: Vec<String> = files().into_iter().map(|(file, _)| file).collect();
    assert_eq!(found, listed.into_iter().collect::<Vec<_>>());
}
