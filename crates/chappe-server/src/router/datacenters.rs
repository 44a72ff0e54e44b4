//! What `help.getConfig` and `help.getNearestDc` tell clients.

use std::net::SocketAddr;
use std::time::Duration;

use chappe_handshake::{DcId, Environment, Traffic};

use super::context::CallContext;
use super::schema::{enums, types};

/// An address of a datacenter, as clients are told it (`dcOption`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datacenter {
    /// Which one.
    pub dc: DcId,
    /// Its address.
    pub address: SocketAddr,
    /// Whether it is a cache of files, which clients reach without a login.
    pub is_cdn: bool,
}

impl Datacenter {
    /// Makes an address of an ordinary datacenter.
    pub const fn new(dc: DcId, address: SocketAddr) -> Self {
        Self { dc, address, is_cdn: false }
    }

    /// Makes an address of a cache of files.
    pub const fn cdn(dc: DcId, address: SocketAddr) -> Self {
        Self { dc, address, is_cdn: true }
    }

    fn option(&self) -> enums::DcOption {
        enums::DcOption::DcOption(types::DcOption {
            ipv6: self.address.is_ipv6(),
            media_only: self.dc.traffic() == Traffic::MediaOnly,
            tcpo_only: false,
            cdn: self.is_cdn,
            r#static: true,
            this_port_only: true,
            id: self.dc.number().into(),
            ip_address: self.address.ip().to_string(),
            port: self.address.port().into(),
            secret: None,
        })
    }
}

/// The datacenters that a server knows, for [`Router::datacenters`](super::Router::datacenters).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Datacenters {
    /// The datacenter that a client is told it talks to if it named none when it made its key.
    pub this: DcId,
    /// All addresses.
    pub list: Vec<Datacenter>,
    /// How long the answer holds. Default 1 h; clients then ask again.
    pub lifetime: Duration,
    /// The country that `help.getNearestDc` names. Default `ZZ`, which is none.
    pub country: String,
}

impl Datacenters {
    /// Makes the list of a server that is datacenter `this`.
    pub fn new(this: DcId, list: Vec<Datacenter>) -> Self {
        Self { this, list, lifetime: Duration::from_secs(3600), country: "ZZ".into() }
    }

    fn this_dc(&self, ctx: &CallContext) -> i32 {
        ctx.dc().unwrap_or(self.this).number().into()
    }

    pub(super) fn nearest_dc(&self, ctx: &CallContext) -> enums::NearestDc {
        enums::NearestDc::NearestDc(types::NearestDc {
            country: self.country.clone(),
            this_dc: self.this_dc(ctx),
            nearest_dc: self.this.number().into(),
        })
    }

    /// Besides addresses and times, all numbers are those of Telegram.
    pub(super) fn config(&self, ctx: &CallContext) -> enums::Config {
        let date = ctx.now().unix.to_tl_int();
        let lifetime = i32::try_from(self.lifetime.as_secs()).unwrap_or(i32::MAX);
        enums::Config::Config(types::Config {
            default_p2p_contacts: false,
            preload_featured_stickers: false,
            revoke_pm_inbox: true,
            blocked_mode: false,
            force_try_ipv6: false,
            date,
            expires: date.saturating_add(lifetime),
            test_mode: self.this.environment() == Environment::Test,
            this_dc: self.this_dc(ctx),
            dc_options: self.list.iter().map(Datacenter::option).collect(),
            dc_txt_domain_name: "datacenters.invalid".into(),
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
            webfile_dc_id: self.this.number().into(),
            suggested_lang_code: None,
            lang_pack_version: None,
            base_lang_pack_version: None,
            reactions_default: None,
            autologin_token: None,
        })
    }
}
