//! What clients ask for when they start, besides the configuration.

use chappe_server::{Answer, Call, Router, RpcError};
use chappe_tl::table::Decoded;
use chappe_tl_api::functions::{help, langpack};
use chappe_tl_api::{enums, types};

use super::Api;

impl Api {
    pub(super) fn add_settings(&self, router: Router) -> Router {
        let api = self.clone();
        router
            .on(|_, call: help::GetAppConfig| async move { Ok(Answer::new(&app_config(call.hash))) })
            .on(move |_, _: help::GetCdnConfig| {
                let api = api.clone();
                async move { Ok(api.cdn_config()) }
            })
            .on(|_, call: Call<langpack::GetLangPack<'static>>| async move {
                Ok(language(call.get().lang_code, 0))
            })
            .on(|_, call: Call<langpack::GetDifference<'static>>| async move {
                Ok(language(call.get().lang_code, call.get().from_version))
            })
            .on(|_, _: Call<langpack::GetStrings<'static>>| async { Ok(Answer::new(&&[][..])) })
            .on(|_, _: Call<langpack::GetLanguages<'static>>| async { Ok(Answer::new(&&[][..])) })
            .on_raw(LANGPACK_GET_LANGUAGE, |_| async { Err(RpcError::new(400, "LANG_CODE_NOT_SUPPORTED")) })
    }

    /// The keys of the caches that share the cloud.
    fn cdn_config(&self) -> Answer<Decoded<enums::CdnConfig<'static>>> {
        let keys = self.cloud.state().cdn_keys.clone();
        let keys: Vec<_> = keys
            .iter()
            .map(|(dc, key)| types::CdnPublicKey { dc_id: i32::from(*dc), public_key: key })
            .collect();
        let keys: Vec<_> = keys.iter().map(|key| enums::CdnPublicKey::from(*key)).collect();
        Answer::new(&enums::CdnConfig::from(types::CdnConfig { public_keys: &keys }))
    }
}

/// `langpack.getLanguage`
const LANGPACK_GET_LANGUAGE: u32 = 0x6a59_6502;

/// An empty configuration, which has number 1.
fn app_config(known_hash: i32) -> enums::help::AppConfig<'static> {
    if known_hash == 1 {
        return enums::help::AppConfig::NotModified;
    }
    let config = enums::Jsonvalue::JsonObject(types::JsonObject { value: &[] });
    enums::help::AppConfig::AppConfig(types::help::AppConfig { hash: 1, config })
}

/// A language pack without strings: clients fall back to their own.
fn language(lang_code: &str, from_version: i32) -> Answer<Decoded<enums::LangPackDifference<'static>>> {
    let version = from_version.max(1);
    let difference = types::LangPackDifference { lang_code, from_version, version, strings: &[] };
    Answer::new(&(&difference).into())
}
