//! The application that introduces itself to datacenters.

use std::path::PathBuf;

use chappe::api::LAYER;
use chappe::session::client::{ClientInfo, InitConnection};
use zeroize::Zeroizing;

use crate::failure::{Blame, OrBlame as _, Result};
use crate::secrets::{first_line, prompt};

/// The environment variable with the hash of the application.
const API_HASH: &str = "CHAPPE_API_HASH";

/// The application, as <https://my.telegram.org> registers it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Application")]
pub(crate) struct Application {
    /// The number of your application, from https://my.telegram.org
    #[arg(long, value_name = "N", env = "CHAPPE_API_ID", default_value_t = 1)]
    pub(crate) api_id: i32,
}

/// The hash of the application, which a login needs.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Application")]
pub(crate) struct ApiHash {
    /// A file with the api_hash of your application; else it is CHAPPE_API_HASH, or asked for
    #[arg(long, value_name = "FILE")]
    api_hash_file: Option<PathBuf>,
}

impl Application {
    /// Makes what introduces the first call.
    pub(crate) fn init(&self) -> Result<InitConnection> {
        let info = ClientInfo::default()
            .with_api_id(self.api_id)
            .with_device_model(b"chappe".into())
            .with_system_version(std::env::consts::OS.into())
            .with_app_version(env!("CARGO_PKG_VERSION").into());
        InitConnection::new(LAYER, &info).or_blame(Blame::Machine, "cannot write initConnection")
    }
}

impl ApiHash {
    /// Returns the hash.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>> {
        match (&self.api_hash_file, std::env::var(API_HASH)) {
            (Some(path), _) => first_line(path),
            (None, Ok(hash)) => Ok(hash.into()),
            (None, Err(_)) => prompt("api_hash", &format!("--api-hash-file or {API_HASH}")),
        }
    }
}
