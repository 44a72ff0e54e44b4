//! Types of the service schema, which a session or a handshake reads.

use std::{fs, path::Path};

use chappe_tl::deserialize::DecodeOptions;
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions};

use super::{Seeded, Target};
use crate::tl_values::Values;
use crate::vectors;

/// Every type of the service schema, tried on the same bytes.
pub(super) const SERVICE_TYPE: Target = Target {
    name: "tl_service_type",
    about: "decoding and writing of every type and function of the service schema",
    run: service_type,
    seeds,
    max_len: 4096,
};

/// Reads the input as each of the types.
macro_rules! each {
    ($input:ident: $($ty:ty),+ $(,)?) => {
        $(check::<$ty>($input);)+
    };
}

fn service_type(input: &[u8]) {
    each![input:
        enums::AccessPointRule, enums::BadMsgNotification, enums::BindAuthKeyInner, enums::ClientDhInnerData,
        enums::DestroyAuthKeyRes, enums::DestroySessionRes, enums::FutureSalt, enums::FutureSalts,
        enums::HttpWait, enums::IpPort, enums::MsgDetailedInfo, enums::MsgResendReq, enums::MsgsAck,
        enums::MsgsAllInfo, enums::MsgsStateInfo, enums::MsgsStateReq, enums::NewSession, enums::PQInnerData,
        enums::Pong, enums::ResPq, enums::RpcDropAnswer, enums::RpcError, enums::ServerDhParams,
        enums::ServerDhInnerData, enums::SetClientDhParamsAnswer, enums::TlsBlock, enums::TlsClientHello,
        enums::help::ConfigSimple, functions::ReqPqMulti, functions::ReqDhParams, functions::SetClientDhParams,
        functions::PingDelayDisconnect, functions::GetFutureSalts, functions::DestroySession,
    ];
}

fn check<T: Deserializable + Serializable + PartialEq + core::fmt::Debug>(input: &[u8]) {
    if let Ok(value) = T::from_bytes_with(input, DecodeOptions::strict()) {
        assert_eq!(value.to_bytes(), input, "{value:?}");
    }
    if let Ok(value) = T::from_bytes(input) {
        let written = value.to_bytes();
        assert_eq!(value.serialized_len(), written.len(), "{value:?}");
        assert_eq!(T::from_bytes(&written).as_ref(), Ok(&value));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tl-schema/mtproto.tl");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let schema = chappe_tl_parser::parse("mtproto.tl", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let definitions = schema.definitions().iter().enumerate();
    let seeds = definitions.map(|(number, one)| Values::new(&schema, Seeded::rng(number as u64)).boxed(one));
    let misc = vectors::load("tl_misc").list("negative");
    let damaged =
        misc.iter().filter(|entry| entry.value("data").is_string()).map(|entry| entry.bytes("data"));
    seeds.chain(damaged).filter(|seed| seed.len() <= SERVICE_TYPE.max_len).collect()
}
