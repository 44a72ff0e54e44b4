//! The listing of the public API knows every type that can be printed: each is printed beside its secrets by a test, or
//! has a reason here why it need not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::search::shown;
use crate::{drivers, exchange, texts};

/// Crates no type of which is printed: what they hold is what the caller or a schema gave them.
const CRATES: [(&str, &str); 6] = [
    ("chappe", "shows the other crates"),
    ("chappe_tl", "encoding of values that are the caller's"),
    ("chappe_tl_gen", "a generator; knows schemas and no messages"),
    ("chappe_tl_mtproto", "objects as they stand on the wire: who prints one prints its fields"),
    ("chappe_tl_parser", "a parser of schemas"),
    ("chappe_tl_secret", "objects as they stand on the wire: who prints one prints its fields"),
];

/// Types that are not printed, by the reason.
const EXEMPT: [(&str, &[&str]); 6] = [
    (
        "an error: numbers, ids and offsets; those made beside a secret are printed in the tests that make them",
        &[
            "chappe_crypto::AuthKeyError",
            "chappe_crypto::cdn::CdnError",
            "chappe_crypto::dh::DhError",
            "chappe_crypto::dh::PrimeCacheError",
            "chappe_crypto::factorize::FactorizeError",
            "chappe_crypto::ige::LengthError",
            "chappe_crypto::message::OpenError",
            "chappe_crypto::message::SealError",
            "chappe_crypto::rsa::DecryptError",
            "chappe_crypto::rsa::KeyError",
            "chappe_crypto::rsa::PadError",
            "chappe_crypto::secret_chat::FileKeyMismatch",
            "chappe_crypto::secret_chat::MessageError",
            "chappe_crypto::srp::SrpError",
            "chappe_framing::FrameError",
            "chappe_framing::MalformedFrame",
            "chappe_framing::PeerMisbehaved",
            "chappe_framing::WriteError",
            "chappe_handshake::ConfigError",
            "chappe_handshake::ApiMisuse",
            "chappe_handshake::Error",
            "chappe_handshake::InvalidAnswer",
            "chappe_handshake::RefusalReason",
            "chappe_handshake::QueryRefusal",
            "chappe_loopback::StartError",
            "chappe_net::ConnectError",
            "chappe_net::CreateKeyError",
            "chappe_net::InvokeError",
            "chappe_net::InvalidOption",
            "chappe_net::Report",
            "chappe_net::StoreFailure",
            "chappe_carrier::LinkError",
            "chappe_carrier::ProxyError",
            "chappe_carrier::proxy_protocol::ProxyHeaderError",
            "chappe_import::ExportError",
            "chappe_import::ImportError",
            "chappe_net::store::StoreError",
            "chappe_session::UnpackError",
            "chappe_session::client::AuthorizationTrouble",
            "chappe_session::client::CallFailure",
            "chappe_session::client::ReceiveError",
            "chappe_session::client::ReconnectReason",
            "chappe_session::client::SendError",
            "chappe_session::client::StateError",
            "chappe_session::server::RespondError",
            "chappe_session::server::ServerError",
            "chappe_transport::AcceptRefusal",
            "chappe_transport::MalformedStream",
            "chappe_transport::StreamRefusal",
            "chappe_transport::TransportError",
            "chappe_transport::TransportMisuse",
            "chappe_transport::HelloRefusal",
            "chappe_transport::http::HttpError",
            "chappe_transport::SecretError",
            "chappe_types::BindError",
        ],
    ),
    (
        "a choice among named things",
        &[
            "chappe_crypto::Side",
            "chappe_crypto::message::Layout",
            "chappe_crypto::nonce::HashNumber",
            "chappe_crypto::secret_chat::Party",
            "chappe_crypto::secret_chat::Version",
            "chappe_framing::AcceptedFormat",
            "chappe_framing::MsgOrigin",
            "chappe_framing::Padding",
            "chappe_framing::TransportTail",
            "chappe_handshake::DcPolicy",
            "chappe_handshake::Tolerance",
            "chappe_net::Blame",
            "chappe_net::Gap",
            "chappe_net::Lane",
            "chappe_net::Stage",
            "chappe_carrier::Interception",
            "chappe_carrier::Wait",
            "chappe_net::store::Purpose",
            "chappe_session::KeyDestruction",
            "chappe_session::client::ClockTrust",
            "chappe_session::client::DropOutcome",
            "chappe_session::client::ForwardSecrecy",
            "chappe_session::client::Packing",
            "chappe_session::client::Repeat",
            "chappe_session::server::MessageCheck",
            "chappe_server::KeyStatus",
            "chappe_session::server::Policy",
            "chappe_transport::Disguise",
            "chappe_transport::AckRequest",
            "chappe_transport::Framing",
            "chappe_transport::http::Cors",
            "chappe_transport::http::Persistence",
            "chappe_transport::SecretKind",
            "chappe_transport::websocket::HostPurpose",
            "chappe_types::BadMsgCode",
            "chappe_types::Environment",
            "chappe_types::KeyKind",
            "chappe_types::Rule",
            "chappe_types::Traffic",
            "chappe_types::TransportErrorCode",
        ],
    ),
    (
        "lengths, times, counts and limits",
        &[
            "chappe_crypto::message::OpenedV1",
            "chappe_framing::MsgIdGenerator",
            "chappe_framing::SeqNoCounter",
            "chappe_framing::UnixTime",
            "chappe_handshake::Peer",
            "chappe_handshake::RateLimit",
            "chappe_net::BackOff",
            "chappe_net::LaneLimits",
            "chappe_net::Timing",
            "chappe_net::UpdateLimits",
            "chappe_server::Budgets",
            "chappe_server::CallLimits",
            "chappe_server::EngineCounters",
            "chappe_server::Histogram",
            "chappe_server::Metrics",
            "chappe_server::Networks",
            "chappe_server::ServerCounters",
            "chappe_net::store::Slot",
            "chappe_session::HttpWait",
            "chappe_session::SessionLimits",
            "chappe_framing::MonoTime",
            "chappe_framing::Now",
            "chappe_session::client::CallId",
            "chappe_session::Transmit",
            "chappe_session::ServerClock",
            "chappe_session::Counters",
            "chappe_session::Refusals",
            "chappe_session::liveness::LivenessPolicy",
            "chappe_session::server::OverQuota",
            "chappe_session::server::ServerConfig",
            "chappe_session::AgeLimits",
            "chappe_transport::TimeWindow",
            "chappe_transport::ConnectionLimits",
            "chappe_types::DcId",
        ],
    ),
    (
        "public by the protocol, or of no use without the key: ids, salts, hashes, what travels in the clear",
        &[
            "chappe_crypto::AuthKeyId",
            "chappe_crypto::MsgKey",
            "chappe_crypto::QuickAckToken",
            "chappe_crypto::cdn::FileHash",
            "chappe_crypto::cdn::PartRange",
            "chappe_crypto::dh::Group",
            "chappe_crypto::dh::PrimeCache",
            "chappe_crypto::dh::PublicValue",
            "chappe_crypto::rsa::Fingerprint",
            "chappe_crypto::rsa::KeyRing",
            "chappe_crypto::rsa::PublicKey",
            "chappe_crypto::secret_chat::FileFingerprint",
            "chappe_crypto::secret_chat::KeyFingerprint",
            "chappe_crypto::srp::Parameters",
            "chappe_framing::EncryptedHeader",
            "chappe_framing::MessageHeader",
            "chappe_framing::MsgId",
            "chappe_framing::SeqNo",
            "chappe_framing::ServerSalt",
            "chappe_framing::SessionId",
            "chappe_session::TimedSalt",
            "chappe_transport::HelloTemplate",
            "chappe_transport::HelloPart",
            "chappe_transport::Affixes",
            "chappe_transport::ReplayFilter",
            "chappe_transport::websocket::Upgrade",
        ],
    ),
    (
        "messages, which are the caller's own or what a peer said: who prints one prints its body",
        &[
            "chappe_framing::Container",
            "chappe_framing::ContainerWriter",
            "chappe_framing::Deflater",
            "chappe_framing::GzipPacked",
            "chappe_framing::Inflater",
            "chappe_framing::InnerMessage",
            "chappe_framing::Messages",
            "chappe_framing::Opened",
            "chappe_framing::RpcOutcome",
            "chappe_framing::RpcResult",
            "chappe_framing::plain::PlainMessage",
            "chappe_carrier::Carried",
            "chappe_carrier::HttpAnswer",
            "chappe_carrier::HttpLane",
            "chappe_carrier::Stack",
            "chappe_loopback::Fault",
            "chappe_loopback::FaultScript",
            "chappe_loopback::Misbehaviour",
            "chappe_loopback::Message",
            "chappe_net::InvokeOptions",
            "chappe_net::Update",
            "chappe_net::UpdateObject",
            "chappe_net::Waited",
            "chappe_server::Answer",
            "chappe_server::Call",
            "chappe_server::Device",
            "chappe_server::Output",
            "chappe_server::RawCall",
            "chappe_server::Reply",
            "chappe_server::Verdict",
            "chappe_session::Message",
            "chappe_session::MessageView",
            "chappe_session::client::ClientInfo",
            "chappe_session::client::Event",
            "chappe_session::client::SendOptions",
            "chappe_session::server::ServerEvent",
            "chappe_transport::http::Request",
            "chappe_transport::http::RequestHead",
            "chappe_transport::http::Response",
            "chappe_transport::Incoming",
            "chappe_transport::ReceivedFrame",
            "chappe_types::RpcError",
            "chappe_types::RpcErrorRef",
        ],
    ),
    (
        "addresses, and handles of what is printed here",
        &[
            "chappe_loopback::api::Account",
            "chappe_net::Action",
            "chappe_carrier::Address",
            "chappe_net::Carrier",
            "chappe_net::CallCounts",
            "chappe_net::ClientId",
            "chappe_net::Histogram",
            "chappe_net::Metrics",
            "chappe_net::Closing",
            "chappe_net::Driver",
            "chappe_net::ReadBuffer",
            "chappe_net::Flush",
            "chappe_net::ReadMore",
            "chappe_net::Ready",
            "chappe_net::SocketId",
            "chappe_net::Sockets",
            "chappe_net::Starting",
            "chappe_net::StoreJob",
            "chappe_net::StoreTask",
            "chappe_net::Peer",
            "chappe_net::store::BlockOn",
            "chappe_net::store::Store",
            "chappe_carrier::AuthScheme",
            "chappe_carrier::proxy_protocol::Announced",
            "chappe_carrier::Endpoint",
            "chappe_carrier::FrameReader",
            "chappe_net::NextUpdate",
            "chappe_carrier::FrameWriter",
            "chappe_net::Received",
            "chappe_net::Step",
            "chappe_carrier::TlsOptions",
            "chappe_net::Transfer",
            "chappe_server::CallContext",
            "chappe_server::Datacenter",
            "chappe_server::Datacenters",
            "chappe_server::Dispatcher",
            "chappe_server::Event",
            "chappe_server::Logins",
            "chappe_server::Router",
            "chappe_server::RouterService",
            "chappe_server::blocking::Server",
            "chappe_server::driver::ConnectionLimit",
            "chappe_server::driver::ConnectionPermit",
            "chappe_server::driver::HandshakeThreads",
            "chappe_server::driver::HandshakeWorker",
            "chappe_server::driver::Conversation",
            "chappe_server::driver::Scratch",
            "chappe_server::driver::ScratchPool",
            "chappe_server::driver::WriteAction",
            "chappe_import::Server",
            "chappe_import::User",
            "chappe_server::tokio::Server",
            "chappe_session::Session",
            "chappe_session::client::Events",
            "chappe_session::server::Quota",
            "chappe_session::server::ServerEvents",
            "chappe_transport::Domain",
            "chappe_transport::AnswerProfile",
            "chappe_transport::DataRecord",
            "chappe_transport::HelloNames",
            "chappe_transport::HelloProfile",
        ],
    ),
];

/// Reads the listing: the paths of all public types with `Debug`.
fn listed() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api");
    let mut types = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let Some((_, of)) = line.split_once("core::fmt::Debug for ") else { continue };
            let path = of.split(['<', ' ']).next().unwrap_or_default();
            types.insert(path.to_owned());
        }
    }
    types
}

#[test]
fn sec_005_every_public_type_is_printed_or_has_a_reason_not_to_be() {
    texts::sec_005_no_debug_of_the_crypto_crate_shows_a_secret();
    texts::sec_005_no_debug_of_a_session_shows_its_key();
    texts::sec_005_no_debug_of_a_connection_shows_the_secret_of_its_proxy();
    texts::sec_005_no_store_and_no_importer_shows_a_key();
    exchange::sec_005_no_state_of_an_exchange_shows_a_secret();
    drivers::sec_005_no_debug_of_a_server_shows_a_key();
    drivers::sec_005_no_debug_of_a_client_or_a_datacenter_shows_a_key();

    let listed = listed();
    assert!(listed.len() > 300, "{} types", listed.len());
    let printed = shown();
    let unknown: Vec<_> = printed.iter().filter(|path| !listed.contains(**path)).collect();
    assert!(unknown.is_empty(), "printed, and not in the listing by this path: {unknown:#?}");

    let reasons: BTreeMap<&str, &str> =
        EXEMPT.iter().flat_map(|(reason, types)| types.iter().map(move |ty| (*ty, *reason))).collect();
    let of_crate = |path: &str| {
        CRATES.iter().any(|(name, _)| path.strip_prefix(name).is_some_and(|rest| rest.starts_with("::")))
    };
    let left: Vec<_> = listed
        .iter()
        .filter(|path| {
            !of_crate(path) && !printed.contains(path.as_str()) && !reasons.contains_key(path.as_str())
        })
        .collect();
    assert!(left.is_empty(), "neither printed nor with a reason: {left:#?}");
    let needless: Vec<_> =
        reasons.keys().filter(|path| !listed.contains(**path) || printed.contains(*path)).collect();
    assert!(needless.is_empty(), "a reason for what is not there, or is printed: {needless:#?}");
}
