//! Random values of every generated type: what is read is what was written, and nothing less is enough.

extern crate alloc;

use alloc::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chappe_conformance::tl_values::Values;
use chappe_tl::deserialize::DecodeOptions;
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::enums;
use chappe_tl_parser::{Name, Schema};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Part of the API, generated like a user's schema: with flags, namespaces, recursion and generic functions.
mod datacenter;

const SERVICE: &str = "tl-schema/mtproto.tl";
const SECRET: &str = "tl-schema/secret.tl";
const DATACENTER: &str = "crates/chappe-conformance/schema/datacenter.tl";

/// Values of each constructor and function that are tried.
const ROUNDS: u32 = 24;

/// What is done with the encoding of a value.
type Check = fn(&[u8]);

macro_rules! table {
    ($check:ident: $($name:literal => $ty:ty,)+) => {
        BTreeMap::from([$(($name, $check::<$ty> as Check)),+])
    };
}

macro_rules! service_types {
    ($check:ident) => {
        table![$check:
            "AccessPointRule" => enums::AccessPointRule,
            "BadMsgNotification" => enums::BadMsgNotification,
            "BindAuthKeyInner" => enums::BindAuthKeyInner,
            "Client_DH_Inner_Data" => enums::ClientDhInnerData,
            "DestroyAuthKeyRes" => enums::DestroyAuthKeyRes,
            "DestroySessionRes" => enums::DestroySessionRes,
            "FutureSalt" => enums::FutureSalt,
            "FutureSalts" => enums::FutureSalts,
            "HttpWait" => enums::HttpWait,
            "IpPort" => enums::IpPort,
            "MsgDetailedInfo" => enums::MsgDetailedInfo,
            "MsgResendReq" => enums::MsgResendReq,
            "MsgsAck" => enums::MsgsAck,
            "MsgsAllInfo" => enums::MsgsAllInfo,
            "MsgsStateInfo" => enums::MsgsStateInfo,
            "MsgsStateReq" => enums::MsgsStateReq,
            "NewSession" => enums::NewSession,
            "P_Q_inner_data" => enums::PQInnerData,
            "Pong" => enums::Pong,
            "ResPQ" => enums::ResPq,
            "RpcDropAnswer" => enums::RpcDropAnswer,
            "RpcError" => enums::RpcError,
            "Server_DH_Params" => enums::ServerDhParams,
            "Server_DH_inner_data" => enums::ServerDhInnerData,
            "Set_client_DH_params_answer" => enums::SetClientDhParamsAnswer,
            "TlsBlock" => enums::TlsBlock,
            "TlsClientHello" => enums::TlsClientHello,
            "help.ConfigSimple" => enums::help::ConfigSimple,
        ]
    };
}

macro_rules! secret_types {
    ($check:ident) => {
        table![$check:
            "DecryptedMessage" => chappe_tl_secret::enums::DecryptedMessage,
            "DecryptedMessageAction" => chappe_tl_secret::enums::DecryptedMessageAction,
            "DecryptedMessageLayer" => chappe_tl_secret::enums::DecryptedMessageLayer,
            "DecryptedMessageMedia" => chappe_tl_secret::enums::DecryptedMessageMedia,
            "DocumentAttribute" => chappe_tl_secret::enums::DocumentAttribute,
            "FileLocation" => chappe_tl_secret::enums::FileLocation,
            "GroupCallMessage" => chappe_tl_secret::enums::GroupCallMessage,
            "InputStickerSet" => chappe_tl_secret::enums::InputStickerSet,
            "JSONObjectValue" => chappe_tl_secret::enums::JsonobjectValue,
            "JSONValue" => chappe_tl_secret::enums::Jsonvalue,
            "MessageEntity" => chappe_tl_secret::enums::MessageEntity,
            "PhotoSize" => chappe_tl_secret::enums::PhotoSize,
            "SendMessageAction" => chappe_tl_secret::enums::SendMessageAction,
            "TextWithEntities" => chappe_tl_secret::enums::TextWithEntities,
        ]
    };
}

fn schema(path: &str) -> Schema {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    chappe_tl_parser::parse("schema", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Reads, compares and writes one value; also with every byte missing from the end, and with one word too many.
fn round_trip<T>(bytes: &[u8])
where
    T: Serializable + Deserializable + Clone + PartialEq + core::fmt::Debug,
{
    let value = T::from_bytes_with(bytes, DecodeOptions::strict())
        .unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
    assert_eq!(value.serialized_len(), bytes.len(), "{value:?}");
    assert_eq!(value.to_bytes(), bytes, "{value:?}");
    assert_eq!(value.clone(), value);
    for len in 0..bytes.len() {
        assert!(T::from_bytes(&bytes[..len]).is_err(), "{len} bytes were enough for {value:?}");
    }
    assert!(
        T::from_bytes(&[bytes, &[0; 4]].concat()).is_err(),
        "a word too many was not noticed after {value:?}"
    );
    assert!(bytes.len() >= T::LEAST_LEN, "{value:?}");
}

fn json_round_trip<T>(bytes: &[u8])
where
    T: Deserializable + PartialEq + core::fmt::Debug + Serialize + DeserializeOwned,
{
    let value = T::from_bytes(bytes).expect("a random value is a value");
    let text = serde_json::to_string(&value).expect("every value has a form in JSON");
    assert_eq!(serde_json::from_str::<T>(&text).expect("it was just written"), value, "{text}");
}

fn try_types(schema: &Schema, checks: &BTreeMap<&str, Check>) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let types: Vec<&Name> = schema.types().filter(|ty| ty.ident != "Bool").collect();
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    assert_eq!(
        checks.keys().collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>(),
        "the table has every type"
    );
    for constructor in types.iter().flat_map(|ty| schema.constructors_of(ty)) {
        for _ in 0..ROUNDS {
            let bytes = Values::new(schema, &mut rng).boxed(constructor);
            checks[constructor.result.to_string().as_str()](&bytes);
        }
    }
}

fn try_functions(schema: &Schema, check: Check) {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for function in schema.functions() {
        for _ in 0..ROUNDS {
            check(&Values::new(schema, &mut rng).boxed(function));
        }
    }
}

#[test]
fn every_service_type_round_trips() {
    try_types(&schema(SERVICE), &service_types!(round_trip));
    try_functions(&schema(SERVICE), round_trip::<chappe_tl_mtproto::AnyCall>);
}

#[test]
fn every_service_type_round_trips_through_serde() {
    try_types(&schema(SERVICE), &service_types!(json_round_trip));
    try_functions(&schema(SERVICE), json_round_trip::<chappe_tl_mtproto::AnyCall>);
}

#[test]
fn every_type_of_secret_chats_round_trips() {
    try_types(&schema(SECRET), &secret_types!(round_trip));
    try_types(&schema(SECRET), &secret_types!(json_round_trip));
}

#[test]
fn every_type_of_the_datacenter_round_trips() {
    let checks = table![round_trip:
        "CdnConfig" => datacenter::enums::CdnConfig,
        "CdnPublicKey" => datacenter::enums::CdnPublicKey,
        "Config" => datacenter::enums::Config,
        "DcOption" => datacenter::enums::DcOption,
        "InputClientProxy" => datacenter::enums::InputClientProxy,
        "InputFileLocation" => datacenter::enums::InputFileLocation,
        "InputPeer" => datacenter::enums::InputPeer,
        "InputUser" => datacenter::enums::InputUser,
        "JSONObjectValue" => datacenter::enums::JsonobjectValue,
        "JSONValue" => datacenter::enums::Jsonvalue,
        "LangPackDifference" => datacenter::enums::LangPackDifference,
        "LangPackLanguage" => datacenter::enums::LangPackLanguage,
        "LangPackString" => datacenter::enums::LangPackString,
        "NearestDc" => datacenter::enums::NearestDc,
        "Reaction" => datacenter::enums::Reaction,
        "True" => datacenter::enums::True,
        "Updates" => datacenter::enums::Updates,
        "User" => datacenter::enums::User,
        "auth.Authorization" => datacenter::enums::auth::Authorization,
        "auth.ExportedAuthorization" => datacenter::enums::auth::ExportedAuthorization,
        "auth.LoggedOut" => datacenter::enums::auth::LoggedOut,
        "help.AppConfig" => datacenter::enums::help::AppConfig,
        "storage.FileType" => datacenter::enums::storage::FileType,
        "updates.Difference" => datacenter::enums::updates::Difference,
        "updates.State" => datacenter::enums::updates::State,
        "upload.File" => datacenter::enums::upload::File,
    ];
    try_types(&schema(DATACENTER), &checks);
    try_functions(&schema(DATACENTER), round_trip::<datacenter::AnyCall>);
}

#[test]
fn serde_names_are_those_of_the_schema() {
    let value = enums::PQInnerData::from(chappe_tl_mtproto::types::PQInnerData {
        pq: vec![1],
        p: vec![2],
        q: vec![3],
        nonce: [4; 16],
        server_nonce: [5; 16],
        new_nonce: [6; 32],
    });
    let json = serde_json::to_value(value).expect("it has a form in JSON");
    let fields =
        json.get("p_q_inner_data").and_then(serde_json::Value::as_object).expect("named by constructor");
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["new_nonce", "nonce", "p", "pq", "q", "server_nonce"]);
}
