//! The configuration, checked: what connections work with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chappe_carrier::Address;
use chappe_net::{Candidate, ConnectOptions};
use chappe_server::ListenOptions;
use chappe_transport::{AcceptConfig, DcId, Domain, HelloNames, ProxySecret, SecretKind};

use crate::config::{Config, HelloDomains, Mode, ProxyLimits, UserConfig};
use crate::error::ConfigError;
use crate::expiry::unix_time;
use crate::upstream::UpstreamSettings;
use crate::user::UserLimits;

/// The most users. A connection that knows no secret costs a hash and a block of AES for each of them.
const MAX_USERS: usize = 4096;

/// Least and most bytes of a window.
const WINDOW: [usize; 2] = [4 * 1024, 4 * 1024 * 1024];

/// A configuration that was checked.
#[derive(Debug)]
pub struct Settings {
    pub(crate) accept: AcceptConfig,
    /// The user of each secret of `accept`, by position in `users`.
    pub(crate) owners: Vec<usize>,
    pub(crate) users: Vec<UserSettings>,
    pub(crate) mask: Option<Address>,
    pub(crate) upstream: UpstreamSettings,
    /// Addresses of datacenters by the number of the wire, without its sign.
    datacenters: BTreeMap<u16, Vec<Address>>,
    pub(crate) limits: ProxyLimits,
}

/// A user as configured.
#[derive(Debug)]
pub(crate) struct UserSettings {
    pub(crate) name: String,
    /// Everything that proves who the user is: if it changes, connections end.
    pub(crate) secrets: Vec<ProxySecret>,
    pub(crate) limits: UserLimits,
}

impl Settings {
    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] names the key and says what is wrong with its value.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        check_limits(&config.limits)?;
        let users = users(config)?;
        let (mut secrets, mut owners) = (Vec::new(), Vec::new());
        for (index, user) in users.iter().enumerate() {
            secrets.extend(user.secrets.iter().cloned());
            owners.resize(secrets.len(), index);
        }
        let names = match config.names {
            HelloDomains::Secret => HelloNames::SecretOrNone,
            HelloDomains::Any => HelloNames::Any,
        };
        let datacenters = datacenters(config)?;
        let upstream = UpstreamSettings::new(&config.upstream, Duration::from_secs(config.limits.connect))?;
        if !datacenters.contains_key(&upstream.fallback) {
            return Err(ConfigError::invalid("upstream.fallback", "this datacenter has no addresses"));
        }
        Ok(Self {
            accept: AcceptConfig::proxy(secrets).with_names(names),
            owners,
            users,
            mask: config.mask.as_deref().map(|mask| address("mask", mask)).transpose()?,
            upstream,
            datacenters,
            limits: config.limits.clone(),
        })
    }

    /// Returns the datacenter that is called for the one that a client names, and its addresses.
    pub(crate) fn datacenter(&self, asked: Option<DcId>) -> (DcId, &[Address]) {
        let fallback = DcId::production(self.upstream.fallback);
        let dc = asked.filter(|dc| self.datacenters.contains_key(&number(*dc))).unwrap_or(fallback);
        (dc, self.datacenters.get(&number(dc)).map_or(&[], Vec::as_slice))
    }

    /// Returns the secrets of each user, in the order of the configuration.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &[ProxySecret])> {
        self.users.iter().map(|user| (user.name.as_str(), user.secrets.as_slice()))
    }

    /// Returns options for sockets and the limits of connections.
    pub(crate) fn listen_options(&self, config: &Config) -> ListenOptions {
        let limits = &self.limits;
        let options = ListenOptions::datacenter();
        let networks = options.networks.with(|networks| networks.ipv6_bits = limits.ipv6_bits);
        options
            .with_reuse_port(config.reuse_port)
            .with_max_connections(limits.connections)
            .with_max_connections_per_address(limits.connections_per_network)
            .with_networks(networks)
            .with_remembered_headers(limits.remembered)
    }
}

/// The number of the wire, without its sign: connections for media lead to the same addresses.
fn number(dc: DcId) -> u16 {
    dc.to_raw().unsigned_abs() as u16
}

pub(crate) fn address(key: &str, text: &str) -> Result<Address, ConfigError> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let Some((host, port)) = parts.filter(|(host, port)| !host.is_empty() && *port != 0) else {
        return Err(ConfigError::invalid(key, "it is not HOST:PORT"));
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(Address::of(host, port))
}

fn check_limits(limits: &ProxyLimits) -> Result<(), ConfigError> {
    let [least, most] = WINDOW;
    if !(least..=most).contains(&limits.window) {
        return Err(ConfigError::invalid("limits.window", format!("it is not from {least} to {most}")));
    }
    if limits.ipv6_bits > 128 {
        return Err(ConfigError::invalid("limits.ipv6_bits", "an address has 128 bits"));
    }
    let positive = [
        ("connections", limits.connections as u64),
        ("connections_per_network", limits.connections_per_network as u64),
        ("first_bytes", limits.first_bytes),
        ("connect", limits.connect),
        ("write", limits.write),
        ("idle", limits.idle),
        ("mask", limits.mask),
    ];
    match positive.into_iter().find(|(_, value)| *value == 0) {
        Some((key, _)) => Err(ConfigError::invalid(format!("limits.{key}"), "it must not be zero")),
        None => Ok(()),
    }
}

fn datacenters(config: &Config) -> Result<BTreeMap<u16, Vec<Address>>, ConfigError> {
    let mut all = BTreeMap::new();
    if config.datacenters.is_empty() {
        for id in 1..=5 {
            all.insert(id, built_in(ConnectOptions::production(id), config.upstream.prefer_ipv6));
        }
        for id in 1..=3 {
            let addresses = built_in(ConnectOptions::test(id), config.upstream.prefer_ipv6);
            all.insert(number(DcId::test(id)), addresses);
        }
    }
    for datacenter in &config.datacenters {
        let key = format!("datacenters, id {}", datacenter.id);
        let dc = DcId::from_raw(i32::from(datacenter.id))
            .filter(|dc| dc.number() != 0 && dc.to_header().is_some());
        let dc = dc.ok_or_else(|| ConfigError::invalid(&key, "a datacenter has no such number"))?;
        let addresses = datacenter.addresses.iter().map(|text| address(&key, text));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(ConfigError::invalid(key, "it has no addresses"));
        }
        if all.insert(number(dc), addresses).is_some() {
            return Err(ConfigError::invalid(key, "it is there twice"));
        }
    }
    Ok(all)
}

/// Addresses that official clients have built in, on the first port alone: a server is not behind a filter that blocks one.
fn built_in(options: ConnectOptions, prefer_ipv6: bool) -> Vec<Address> {
    let is_first =
        |candidate: &Candidate| matches!(candidate.address, Address::Socket(at) if at.port() == 443);
    let mut found: Vec<_> =
        options.candidates.into_iter().filter(is_first).map(|candidate| candidate.address).collect();
    found.sort_by_key(|address| matches!(address, Address::Socket(at) if at.is_ipv6() != prefer_ipv6));
    found
}

fn users(config: &Config) -> Result<Vec<UserSettings>, ConfigError> {
    if config.users.is_empty() {
        return Err(ConfigError::invalid("users", "there are none"));
    }
    if config.users.len() > MAX_USERS {
        return Err(ConfigError::invalid("users", format!("there are more than {MAX_USERS}")));
    }
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let mut users = Vec::new();
    for user in &config.users {
        let key = format!("user {}", user.name);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if user.name.is_empty() || user.name.len() > 64 || !user.name.bytes().all(is_plain) {
            return Err(ConfigError::invalid(
                "users",
                "a name has 1 to 64 letters, digits, dots, hyphens and underscores",
            ));
        }
        if !names.insert(&user.name) {
            return Err(ConfigError::invalid(key, "the name is there twice"));
        }
        // Whose traffic it is can be told only from the secret.
        if !keys.insert(user.secret.0.key().as_bytes()) {
            return Err(ConfigError::invalid(key, "another user has the same secret"));
        }
        users.push(UserSettings {
            name: user.name.clone(),
            secrets: secrets(config, user, &key)?,
            limits: UserLimits {
                connections: user.max_connections,
                bytes: user.max_bytes,
                expires: user.expires.as_ref().map(|date| expiry(&key, date)).transpose()?,
            },
        });
    }
    Ok(users)
}

fn expiry(key: &str, date: &toml::value::Datetime) -> Result<u64, ConfigError> {
    unix_time(date).ok_or_else(|| {
        ConfigError::invalid(
            format!("{key}, expires"),
            "it is neither a date nor a date and time with an offset",
        )
    })
}

/// Returns the forms in which the secret of a user is accepted.
fn secrets(config: &Config, user: &UserConfig, key: &str) -> Result<Vec<ProxySecret>, ConfigError> {
    let secret = &user.secret.0;
    if *secret.kind() != SecretKind::Plain {
        if user.modes.is_some() {
            return Err(ConfigError::invalid(
                key,
                "the secret chooses the form itself, so `modes` has no meaning",
            ));
        }
        return Ok(vec![secret.clone()]);
    }
    let bytes = *secret.key().as_bytes();
    let domain = user.domain.as_ref().or(config.domain.as_ref());
    let by_default = if domain.is_some() { [Mode::Ee] } else { [Mode::Dd] };
    let modes = user.modes.as_deref().or(config.modes.as_deref()).unwrap_or(&by_default);
    let has = |mode| modes.contains(&mode);
    let mut forms = Vec::new();
    // A plain secret allows padding as well.
    if has(Mode::Plain) {
        forms.push(ProxySecret::plain(bytes));
    } else if has(Mode::Dd) {
        forms.push(ProxySecret::padded(bytes));
    }
    if has(Mode::Ee) {
        let domain = domain.ok_or_else(|| ConfigError::invalid(key, "fake TLS needs a `domain`"))?;
        let domain =
            Domain::new(domain).map_err(|error| ConfigError::invalid(format!("{key}, domain"), error))?;
        forms.push(ProxySecret::fake_tls(bytes, domain));
    }
    if forms.is_empty() { Err(ConfigError::invalid(key, "`modes` is empty")) } else { Ok(forms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "[[users]]\nname = \"a\"\nsecret = \"00112233445566778899aabbccddeeff\"\n";

    fn settings(text: &str) -> Result<Settings, ConfigError> {
        Settings::new(&Config::parse(text).expect("it is TOML"))
    }

    #[test]
    fn a_user_has_the_forms_that_are_asked_for() {
        let kinds = |text: &str| {
            let settings = settings(text).expect("it is in order");
            let kinds: Vec<_> = settings.accept.secrets.iter().map(|secret| secret.kind().clone()).collect();
            kinds
        };
        let domain = Domain::new("a.example").expect("it is one");
        let fake_tls = SecretKind::FakeTls { domain };
        assert_eq!(kinds(USER), [SecretKind::Padded]);
        assert_eq!(kinds(&format!("domain = \"a.example\"\n{USER}")), core::slice::from_ref(&fake_tls));
        let all = format!("modes = [\"ee\", \"plain\", \"dd\"]\n{USER}domain = \"a.example\"\n");
        assert_eq!(kinds(&all), [SecretKind::Plain, fake_tls.clone()]);
        let chosen = USER.replace("ff\"", "ff612e6578616d706c65\"").replace("= \"00", "= \"ee00");
        assert_eq!(kinds(&chosen), [fake_tls]);
    }

    #[test]
    fn a_client_gets_the_datacenter_it_names_or_the_fallback() {
        let text = "[[datacenters]]\nid = 2\naddresses = [\"[::1]:443\", \"dc.example:80\"]\n";
        let settings = settings(&format!("{USER}{text}")).expect("it is in order");
        let two = [Address::of("::1", 443), Address::of("dc.example", 80)];
        let asked = DcId::production(2).media_only();
        assert_eq!(settings.datacenter(Some(asked)), (asked, &two[..]));
        for asked in [Some(DcId::production(203)), None, Some(DcId::test(2))] {
            assert_eq!(settings.datacenter(asked), (DcId::production(2), &two[..]), "{asked:?}");
        }
        let built_in = self::settings(USER).expect("it is in order");
        assert_eq!(built_in.datacenter(Some(DcId::production(4))).1[0], Address::of("149.154.167.91", 443));
        assert_eq!(built_in.datacenter(Some(DcId::test(2))).0, DcId::test(2));
        let six = self::settings(&format!("upstream.prefer_ipv6 = true\n{USER}")).expect("it is in order");
        assert_eq!(six.datacenter(Some(DcId::production(4))).1[0], Address::of("2001:67c:4e8:f004::a", 443));
    }

    #[test]
    fn the_example_that_is_installed_shows_the_defaults() {
        let example = Config::parse(include_str!("../dist/chappe-proxy.toml")).expect("it is TOML");
        Settings::new(&example).expect("it is in order");
        assert_eq!(format!("{:?}", example.limits), format!("{:?}", ProxyLimits::default()));
        let plain = format!("{:?}", crate::Upstream::default());
        // The example spells this default out.
        assert_eq!(format!("{:?}", example.upstream).replace("fallback: Some(2)", "fallback: None"), plain);
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (text, expected) in [
            (String::new(), "users: there are none"),
            (format!("{USER}{USER}"), "user a: the name is there twice"),
            (format!("{USER}{}", USER.replace("\"a\"", "\"b\"")), "user b: another user has the same secret"),
            (
                USER.replace("\"a\"", "\"a b\""),
                "users: a name has 1 to 64 letters, digits, dots, hyphens and underscores",
            ),
            (format!("modes = [\"ee\"]\n{USER}"), "user a: fake TLS needs a `domain`"),
            (format!("modes = []\n{USER}"), "user a: `modes` is empty"),
            (
                format!("domain = \"a b\"\n{USER}"),
                "user a, domain: byte 1 of the domain is not allowed in a host name",
            ),
            (format!("mask = \"site.example\"\n{USER}"), "mask: it is not HOST:PORT"),
            (format!("limits.window = 1\n{USER}"), "limits.window: it is not from 4096 to 4194304"),
            (format!("limits.idle = 0\n{USER}"), "limits.idle: it must not be zero"),
            (
                format!("{USER}expires = 12:00:00\n"),
                "user a, expires: it is neither a date nor a date and time with an offset",
            ),
            (format!("upstream.fallback = 9\n{USER}"), "upstream.fallback: this datacenter has no addresses"),
            (
                format!("{USER}[[datacenters]]\nid = 0\naddresses = []\n"),
                "datacenters, id 0: a datacenter has no such number",
            ),
            (
                format!("{USER}[[datacenters]]\nid = 2\naddresses = []\n"),
                "datacenters, id 2: it has no addresses",
            ),
            (
                format!("upstream.framing = \"full\"\n{USER}"),
                "upstream.framing: full cannot be obfuscated: set `plain`",
            ),
            (
                format!("upstream.carrier = \"websocket\"\n{USER}"),
                "upstream.host: WebSocket needs the name of a host",
            ),
            (
                format!("upstream.proxy = \"ftp://a:1\"\n{USER}"),
                "upstream.proxy: it is neither socks5://, socks4://, http:// nor tg://socks",
            ),
        ] {
            assert_eq!(settings(&text).expect_err(expected).to_string(), expected);
        }
    }
}
