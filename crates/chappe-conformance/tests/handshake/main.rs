//! The creation of auth keys: complete runs, published transcripts, every negative case, rows SEC-14
//! to SEC-60, SEC-119 and SEC-125 to SEC-128 of the checklist, and both halves against each other.

mod bind;
mod both;
mod client;
mod full;
mod negative;
mod samples;
mod server;

use chappe_conformance::script::Script;
use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::rsa::{KeyRing, PrivateKey, PublicKey};
use chappe_framing::{FrameBuf, MonoTime, MsgId, Now, PlainMessage, UnixTime, write_plain_bytes};
use chappe_handshake::{ClientOptions, DcId, KeyKind, PeerId, ServerHandshakes, ServerOptions};

/// The peer of all tests that know only one.
const PEER: PeerId = PeerId(1);

/// Returns the private key of the vectors.
fn private_key() -> PrivateKey {
    let key = vectors::load("rsa_fingerprints").entry("test_key");
    PrivateKey::from_pem(key.text("pem_pkcs1_private")).expect("the key of the vectors is a key")
}

fn public_key() -> PublicKey {
    private_key().public_key().clone()
}

/// Trusts the key of the vectors and asks for a permanent key of datacenter 2.
fn client_options() -> ClientOptions {
    let mut keys = KeyRing::empty();
    keys.add(public_key());
    ClientOptions::new(keys, DcId::production(2))
}

/// Owns the key of the vectors and serves datacenter 2 by the letter.
fn server_options() -> ServerOptions {
    let options = ServerOptions::strict(vec![private_key()], vec![DcId::production(2)]);
    options.with_rate(None)
}

/// Returns a reading of two clocks that agree.
const fn at(unix: UnixTime) -> Now {
    Now::new(MonoTime::from_nanos(unix.as_nanos()), unix)
}

fn server(options: ServerOptions) -> ServerHandshakes {
    ServerHandshakes::new(options).expect("the options are in order")
}

/// Wraps an object as the server's plain frame.
fn from_server(object: &[u8]) -> Vec<u8> {
    frame(MsgId::from_raw((1_707_425_105 << 32) | 1), object)
}

/// Wraps an object as a client's plain frame.
fn from_client(object: &[u8]) -> Vec<u8> {
    frame(MsgId::from_raw((1_707_425_104 << 32) | 4), object)
}

fn frame(msg_id: MsgId, object: &[u8]) -> Vec<u8> {
    let mut buf = FrameBuf::new();
    write_plain_bytes(&mut buf, msg_id, object).expect("the object can be sent");
    buf.as_slice().to_vec()
}

/// Returns the object of a plain frame that may come from either side.
fn object_of(frame: &[u8]) -> Vec<u8> {
    use chappe_crypto::Side;
    let message = PlainMessage::new_checked(frame, Side::Client);
    let message = message.or_else(|_| PlainMessage::new_checked(frame, Side::Server));
    message.expect("the frame is a plain one").body().to_vec()
}

/// A complete run of `handshake_full.json`.
struct Run {
    common: Entry,
    steps: Vec<Entry>,
    /// Absent if the run ends in `dh_gen_fail`.
    result: Option<Entry>,
}

impl Run {
    fn load(name: &str) -> Self {
        let run = vectors::load("handshake_full").entry("runs").entry(name);
        let result = (!run.value("final").is_null()).then(|| run.entry("final"));
        Self { common: run.entry("common"), steps: run.list("steps"), result }
    }

    fn step(&self, name: &str) -> &Entry {
        self.steps.iter().find(|step| step.name() == name).unwrap_or_else(|| panic!("no step {name}"))
    }

    fn bodies(&self, direction: &str) -> Vec<Vec<u8>> {
        let steps = self.steps.iter().filter(|step| step.text("direction") == direction);
        steps.map(|step| step.bytes("body")).collect()
    }

    fn dc(&self) -> DcId {
        DcId::from_raw(self.common.number("dc")).expect("the vectors name a datacenter")
    }

    fn client_options(&self) -> ClientOptions {
        let kind = if self.common.has("expires_in") {
            KeyKind::Temporary { expires_in: self.common.number("expires_in") }
        } else {
            KeyKind::Permanent
        };
        client_options().with_dc(self.dc()).with_kind(kind)
    }

    fn server_options(&self) -> ServerOptions {
        let mut options = ServerOptions::strict(vec![private_key()], vec![self.dc()]);
        options.rate = None;
        options
    }

    /// Everything the client of the run draws, in the order in which ours draws it.
    fn client_script(&self) -> Script {
        let params = self.step("req_DH_params");
        let mut bytes = self.common.bytes("nonce");
        bytes.extend(self.common.bytes("new_nonce"));
        bytes.extend(params.bytes("random_padding_bytes"));
        bytes.extend(params.bytes("temp_key"));
        for step in self.steps.iter().filter(|step| step.name() == "set_client_DH_params") {
            bytes.extend(step.bytes("b"));
            bytes.extend(step.bytes("inner_padding"));
        }
        Script::new(bytes)
    }

    /// Everything the server of the run draws, in the order in which ours draws it.
    fn server_script(&self) -> Script {
        /// Seeds the blinding of the RSA operation, which changes no result.
        const BLINDING: [u8; 32] = [1; 32];
        let answer = self.step("server_DH_params_ok");
        let mut bytes = self.common.bytes("server_nonce");
        // A factor is the upper 31 bits of what is drawn.
        for factor in [0x5a30_0d4b_u32, 0x6a26_db65] {
            bytes.extend((factor << 1).to_le_bytes());
        }
        bytes.extend(BLINDING);
        bytes.extend(answer.bytes("a"));
        bytes.extend(answer.bytes("inner_padding"));
        Script::new(bytes)
    }

    /// The server's clock in the run.
    fn server_time(&self) -> UnixTime {
        UnixTime::from_secs(self.step("server_DH_params_ok").number("server_time"))
    }
}
