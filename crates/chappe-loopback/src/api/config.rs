//! Where the datacenter is and what a client is told about it.

use std::net::SocketAddr;

use chappe_handshake::DcId;

use super::Caller;
use crate::schema::{enums, types};

/// Where and as what a datacenter is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which one it is.
    pub dc: DcId,
    /// Its address, given to clients as the only one of every datacenter.
    pub address: SocketAddr,
}

/// How long a configuration holds, in seconds. Clients ask again after it.
const CONFIG_LIFETIME: i32 = 3600;

/// Datacenters that clients may look for. All are here, so that none goes looking elsewhere.
const DC_IDS: core::ops::RangeInclusive<i32> = 1..=5;

impl Endpoint {
    pub(super) fn config(&self, caller: &Caller) -> enums::Config {
        let (unix_time, this_dc) = (caller.unix_time, self.this_dc(caller));
        let mut ids: Vec<i32> = DC_IDS.collect();
        for id in [self.number(), this_dc] {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        enums::Config::Config(types::Config {
            default_p2p_contacts: false,
            preload_featured_stickers: false,
            revoke_pm_inbox: true,
            blocked_mode: false,
            force_try_ipv6: false,
            date: unix_time,
            expires: unix_time.saturating_add(CONFIG_LIFETIME),
            test_mode: false,
            this_dc,
            dc_options: ids.into_iter().map(|id| self.option(id)).collect(),
            dc_txt_domain_name: "loopback.invalid".into(),
            chat_size_max: 200,
            megagroup_size_max: 200_000,
            forwarded_count_max: 100,
            online_update_period_ms: 210_000,
            offline_blur_timeout_ms: 5_000,
            offline_idle_timeout_ms: 30_000,
            online_cloud_timeout_ms: 300_000,
            notify_cloud_delay_ms: 30_000,
            notify_default_delay_ms: 1_500,
            push_chat_period_ms: 60_000,
            push_chat_limit: 2,
            edit_time_limit: 172_800,
            revoke_time_limit: i32::MAX,
            revoke_pm_time_limit: i32::MAX,
            rating_e_decay: 2_419_200,
            stickers_recent_limit: 200,
            channels_read_media_period: 604_800,
            tmp_sessions: None,
            call_receive_timeout_ms: 20_000,
            call_ring_timeout_ms: 90_000,
            call_connect_timeout_ms: 30_000,
            call_packet_timeout_ms: 10_000,
            me_url_prefix: "https://t.me/".into(),
            autoupdate_url_prefix: None,
            gif_search_username: None,
            venue_search_username: None,
            img_search_username: None,
            static_maps_provider: None,
            caption_length_max: 1024,
            message_length_max: 4096,
            webfile_dc_id: self.number(),
            suggested_lang_code: None,
            lang_pack_version: None,
            base_lang_pack_version: None,
            reactions_default: None,
            autologin_token: None,
        })
    }

    pub(super) fn nearest_dc(&self, caller: &Caller) -> enums::NearestDc {
        let (this_dc, nearest_dc) = (self.this_dc(caller), self.number());
        enums::NearestDc::NearestDc(types::NearestDc { country: "ZZ".into(), this_dc, nearest_dc })
    }

    /// Returns the number that a client is told: the one it named when it made its key. This datacenter serves all
    /// numbers, and a client that is told another one asks again indefinitely.
    fn this_dc(&self, caller: &Caller) -> i32 {
        caller.dc.map_or(self.number(), |dc| dc.number().into())
    }

    /// Returns the number, as in `dcOption`.
    fn number(&self) -> i32 {
        self.dc.number().into()
    }

    fn option(&self, id: i32) -> enums::DcOption {
        enums::DcOption::DcOption(types::DcOption {
            ipv6: self.address.is_ipv6(),
            media_only: false,
            tcpo_only: false,
            cdn: false,
            r#static: true,
            this_port_only: true,
            id,
            ip_address: self.address.ip().to_string(),
            port: i32::from(self.address.port()),
            secret: None,
        })
    }
}

pub(super) fn cdn_config() -> enums::CdnConfig {
    enums::CdnConfig::CdnConfig(types::CdnConfig { public_keys: Vec::new() })
}

/// An empty configuration, which has number 1.
pub(super) fn app_config(known_hash: i32) -> enums::help::AppConfig {
    if known_hash == 1 {
        return enums::help::AppConfig::NotModified;
    }
    let config = enums::Jsonvalue::JsonObject(types::JsonObject { value: Vec::new() });
    enums::help::AppConfig::AppConfig(types::help::AppConfig { hash: 1, config })
}

/// A language pack without strings: clients fall back to their own.
pub(super) fn language(lang_code: String, from_version: i32) -> enums::LangPackDifference {
    enums::LangPackDifference::LangPackDifference(types::LangPackDifference {
        lang_code,
        from_version,
        version: from_version.max(1),
        strings: Vec::new(),
    })
}

pub(super) fn updates_state(unix_time: i32) -> enums::updates::State {
    let state = types::updates::State { pts: 1, qts: 0, date: unix_time, seq: 1, unread_count: 0 };
    enums::updates::State::State(state)
}

pub(super) fn no_difference(date: i32) -> enums::updates::Difference {
    enums::updates::Difference::Empty(types::updates::DifferenceEmpty { date, seq: 1 })
}
