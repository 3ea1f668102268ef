//! Settings of a process: defaults here ← `baodan.toml` ← environment (`BAODAN_…`, nested by `__`, or
//! `…_FILE` naming a file that holds the value) ← flags. An empty environment starts the embedded mode.

mod callback;
mod ports;
mod secrets;
mod storage;
mod supplier;
mod upstreams;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;
use config::{Config, Environment, File, FileFormat};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use callback::CallbackSettings;
pub use secrets::{KeySettings, NamedKey};
pub use storage::StorageSettings;
pub use supplier::SupplierSettings;
pub use upstreams::UpstreamAddress;

use crate::{bus::BusSettings, db::DatabaseSettings, seal, telemetry::TelemetrySettings};
use secrets::{MIN_SECRET_CHARS, named_keys, well_known, write_private};

/// A process that was told to stop must be gone before whoever told it loses patience.
const MAX_DRAIN_SECONDS: u64 = 60;

/// All settings of all services: one list, so that one file configures a whole system.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Part of the tokens' issuer, `acp-api-<environment>`.
    pub environment: String,
    /// Relaxes the checks on secrets; accepted on a loopback address only.
    pub dev: bool,
    pub listen: String,
    /// Where the embedded mode keeps its databases, uploads and generated secrets.
    pub data_dir: PathBuf,
    /// Business time zone of dates on the wire.
    pub timezone: Tz,
    /// HTTP worker threads; 0 = one per core.
    pub http_workers: usize,
    /// How long a process goes on serving after SIGTERM while `/readyz` says 503, so that whoever chooses among
    /// replicas has turned away; absent = 5 for a process of its own, 0 for everything in one.
    pub drain_seconds: Option<u64>,
    pub database: DatabaseSettings,
    pub bus: BusSettings,
    pub redis: RedisSettings,
    pub keys: KeySettings,
    pub telemetry: TelemetrySettings,
    pub gateway: GatewaySettings,
    pub auth: AuthSettings,
    pub callback: CallbackSettings,
    pub storage: StorageSettings,
    pub supplier: SupplierSettings,
    /// Password of the account `admin` at the first start; absent = random, printed once.
    pub admin_password: Option<SecretString>,
    /// Comma-separated `host:port` or CIDR that callbacks may reach besides public addresses.
    pub callback_allow: String,
    /// Days for which a consumer remembers the events it has handled; repeats that come later are handled again.
    pub inbox_keep_days: u32,
}

/// `redis.url` absent = quotas live in this process.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    pub url: Option<SecretString>,
    /// Prefix of all keys; "baodan" by default, for systems that share a Redis, and for tests.
    pub prefix: Option<String>,
}

impl RedisSettings {
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or("baodan")
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Service name → base URL; empty = the services are in this process. order-service asks `sync` as well.
    pub upstreams: BTreeMap<String, String>,
    /// Proxies whose `X-Forwarded-For` is believed, comma-separated CIDR.
    pub trusted_proxies: String,
    /// Longest a gateway serves on a policy it cannot renew, seconds.
    pub policy_max_age_seconds: u64,
    /// Requests a second from one client address, 0 = no limit.
    pub requests_per_second: u64,
    /// Folder of the console's static files.
    pub console_dir: Option<PathBuf>,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            upstreams: BTreeMap::new(),
            trusted_proxies: String::new(),
            policy_max_age_seconds: 300,
            requests_per_second: 0,
            console_dir: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Failed logins of one account in 15 minutes before it has to wait.
    pub login_failures_per_account: u64,
    /// Failed logins from one address in 15 minutes before it has to wait.
    pub login_failures_per_address: u64,
    /// The `sub` claim of tokens.
    pub token_subject: String,
    /// How long the audit is kept; 0 = for ever.
    pub audit_keep_days: u32,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            login_failures_per_account: 10,
            login_failures_per_address: 100,
            token_subject: "acp_mobile_user".into(),
            audit_keep_days: 0,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            environment: "embedded".into(),
            dev: false,
            listen: "127.0.0.1:8080".into(),
            data_dir: "./data".into(),
            timezone: chrono_tz::Asia::Shanghai,
            http_workers: 0,
            drain_seconds: None,
            database: DatabaseSettings::default(),
            bus: BusSettings::default(),
            redis: RedisSettings::default(),
            keys: KeySettings::default(),
            telemetry: TelemetrySettings::default(),
            gateway: GatewaySettings::default(),
            auth: AuthSettings::default(),
            callback: CallbackSettings::default(),
            storage: StorageSettings::default(),
            supplier: SupplierSettings::default(),
            admin_password: None,
            callback_allow: String::new(),
            inbox_keep_days: 7,
        }
    }
}

/// Settings that cannot work: every problem at once.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("settings cannot work:{}", list(.0))]
    Invalid(Vec<String>),
}

fn list(problems: &[String]) -> String {
    problems.iter().fold(String::new(), |mut text, p| {
        let _ = write!(text, "\n  - {p}");
        text
    })
}

impl Settings {
    /// Reads file and environment; `file` absent = `baodan.toml` if there is one.
    #[allow(clippy::disallowed_methods)] // the one place that reads the environment
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let source = match file {
            Some(path) => File::from(path).format(FileFormat::Toml).required(true),
            None => File::new("baodan.toml", FileFormat::Toml).required(false),
        };
        let mut plain = BTreeMap::new();
        for (name, value) in std::env::vars().filter(|(n, _)| is_setting(n)) {
            match name.strip_suffix("_FILE") {
                Some(_) if value.is_empty() => {}
                Some(target) => {
                    let text = std::fs::read_to_string(&value)
                        .map_err(|e| SettingsError::Invalid(vec![format!("{name} names {value}: {e}")]))?;
                    plain.insert(target.to_owned(), text.trim_end().to_owned());
                }
                None => {
                    plain.insert(name, value);
                }
            }
        }
        // The whole tells the first thing it cannot read; each source by itself tells its own.
        Self::read(Some(&source), &plain).map_err(|first| {
            let file = Self::read(Some(&source), &BTreeMap::new()).err().map(|e| e.to_string());
            let of_variable = |(name, value): (&String, &String)| {
                let alone = BTreeMap::from([(name.clone(), value.clone())]);
                Self::read(None, &alone).err().map(|e| format!("{name}: {e}"))
            };
            let mut problems: Vec<String> =
                file.into_iter().chain(plain.iter().filter_map(of_variable)).collect();
            if problems.is_empty() {
                problems.push(first.to_string());
            }
            SettingsError::Invalid(problems)
        })
    }

    fn read(
        file: Option<&File<config::FileSourceFile, FileFormat>>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, config::ConfigError> {
        let environment = Environment::with_prefix("BAODAN")
            .prefix_separator("_")
            .separator("__")
            .ignore_empty(true)
            // Values stay the texts they are, so that a secret of digits keeps its zeros; each field reads its own.
            .source(Some(variables.clone().into_iter().collect()));
        let mut builder = Config::builder();
        if let Some(file) = file {
            builder = builder.add_source(file.clone());
        }
        builder.add_source(environment).build()?.try_deserialize()
    }

    /// Refuses settings that cannot work, with every problem at once.
    ///
    /// # Errors
    /// As [`Settings::problems`] names them.
    pub fn validate(&self, embedded: bool) -> Result<(), SettingsError> {
        let problems = self.problems(embedded);
        if problems.is_empty() { Ok(()) } else { Err(SettingsError::Invalid(problems)) }
    }

    /// Every setting that cannot work, one sentence each. `embedded`: all services in this one process.
    pub fn problems(&self, embedded: bool) -> Vec<String> {
        let mut problems = Vec::new();
        self.database.validate(&mut problems);
        self.storage.validate(&mut problems);
        self.supplier.validate(&mut problems);
        self.validate_secrets(&mut problems);
        if !embedded && self.bus.url.is_none() {
            problems.push("a lone service needs the broker: set bus.url (BAODAN_BUS__URL), or run `baodan` with everything inside".into());
        }
        if self.dev && !self.on_loopback() {
            problems.push(format!("--dev is for a loopback address; {} is not one", self.listen));
        }
        if self.listen.parse::<std::net::SocketAddr>().is_err() {
            problems.push(format!(
                "listen must be address:port, for example 127.0.0.1:8080; it is {:?}",
                self.listen
            ));
        }
        if self.drain_seconds.is_some_and(|s| s > MAX_DRAIN_SECONDS) {
            problems.push(format!("drain_seconds (BAODAN_DRAIN_SECONDS) is {MAX_DRAIN_SECONDS} at the most"));
        }
        if (1..30).contains(&self.auth.audit_keep_days) {
            problems.push("auth.audit_keep_days must be 0 (for ever) or at least 30".into());
        }
        problems.extend(self.retry_schedule().err());
        self.callback.validate(&mut problems);
        problems.extend(self.telemetry.validate().err());
        problems
    }

    /// See `drain_seconds`. `embedded`: all services in this one process.
    pub fn drain(&self, embedded: bool) -> std::time::Duration {
        let usual = if embedded { std::time::Duration::ZERO } else { crate::lifecycle::DRAIN };
        self.drain_seconds.map_or(usual, std::time::Duration::from_secs)
    }

    fn validate_secrets(&self, problems: &mut Vec<String>) {
        let lists = [("keys.token", &self.keys.token), ("keys.envelope", &self.keys.envelope)];
        for (name, value) in lists {
            let variable = name.replace('.', "__").to_uppercase();
            match named_keys(value.as_ref()) {
                Ok(keys) if keys.is_empty() => {
                    problems.push(format!("{name} is missing: set BAODAN_{variable}=id:secret"))
                }
                Ok(keys) => keys.iter().for_each(|k| self.check_strength(name, &k.secret, problems)),
                Err(e) => problems.push(format!("{name} {e}: set BAODAN_{variable}=id:secret[,id:secret]")),
            }
        }
        match &self.keys.internal {
            None => problems.push("keys.internal is missing: set BAODAN_KEYS__INTERNAL".into()),
            Some(secret) => self.check_strength("keys.internal", secret, problems),
        }
        if let Some(password) = &self.admin_password
            && (password.expose_secret().chars().count() < 10 || well_known(password.expose_secret()))
            && !self.dev
        {
            problems.push(
                "BAODAN_ADMIN_PASSWORD must have 10 characters or more and not be a well-known one".into(),
            );
        }
    }

    fn check_strength(&self, name: &str, secret: &SecretString, problems: &mut Vec<String>) {
        let text = secret.expose_secret();
        if self.dev {
            return;
        }
        if text.len() < MIN_SECRET_CHARS {
            problems.push(format!("{name} holds a secret shorter than {MIN_SECRET_CHARS} characters"));
        } else if well_known(text) {
            problems.push(format!(
                "{name} holds a well-known or repetitive secret; make one with `openssl rand -hex 32`"
            ));
        }
    }

    fn on_loopback(&self) -> bool {
        self.listen.parse::<std::net::SocketAddr>().is_ok_and(|a| a.ip().is_loopback())
    }

    /// Fills missing secrets from `<data_dir>/secrets.toml`, making that file (mode 0600) at the first start.
    /// For the embedded mode only: production names its secrets.
    pub fn fill_embedded_secrets(&mut self) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.data_dir)?;
        let path = self.data_dir.join("secrets.toml");
        if !path.exists() {
            let made = format!(
                "# Made at the first start. Losing this file ends all sessions and makes sealed secrets unreadable.\n\
                 token = \"k1:{}\"\nenvelope = \"e1:{}\"\ninternal = \"{}\"\n",
                seal::random_token(32),
                seal::random_token(32),
                seal::random_token(32)
            );
            write_private(&path, &made)?;
        }
        let stored: KeySettings = toml::from_str(&std::fs::read_to_string(&path)?)
            .map_err(|e| std::io::Error::other(format!("{}: {e}", path.display())))?;
        self.keys.token = self.keys.token.take().or(stored.token);
        self.keys.envelope = self.keys.envelope.take().or(stored.envelope);
        self.keys.internal = self.keys.internal.take().or(stored.internal);
        Ok(())
    }

    /// Issuer of access tokens.
    pub fn issuer(&self) -> String {
        format!("acp-api-{}", self.environment)
    }

    pub fn token_keys(&self) -> Vec<NamedKey> {
        named_keys(self.keys.token.as_ref()).unwrap_or_default()
    }

    pub fn envelope_keys(&self) -> Vec<NamedKey> {
        named_keys(self.keys.envelope.as_ref()).unwrap_or_default()
    }

    /// Pauses between the tries of a callback, milliseconds.
    pub fn retry_schedule(&self) -> Result<Vec<i64>, String> {
        let text = &self.callback.retry_schedule_seconds;
        let parsed: Result<Vec<i64>, _> =
            text.split(',').map(|s| s.trim().parse::<i64>().map(|n| n * 1000)).collect();
        match parsed {
            Ok(list) if list.iter().all(|ms| (0..=7 * 86_400_000).contains(ms)) => Ok(list),
            _ => Err(format!(
                "callback.retry_schedule_seconds must be seconds separated by commas, each at most 7 days; it is {text:?}"
            )),
        }
    }
}

/// `BAODAN_TEST_…` tells the tests where their servers are; a program started from the same shell ignores it.
fn is_setting(variable: &str) -> bool {
    variable.starts_with("BAODAN_") && !variable.starts_with("BAODAN_TEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong() -> Settings {
        let secret = "k1:qX7vR2mK9tB4wZ8sN3hJ6yD5cF1gL0pA";
        Settings {
            keys: KeySettings {
                token: Some(secret.into()),
                envelope: Some(secret.into()),
                internal: Some("qX7vR2mK9tB4wZ8sN3hJ6yD5cF1gL0pA".into()),
            },
            ..Settings::default()
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let settings = Settings { listen: "here".into(), ..Settings::default() };
        let text = settings.validate(false).expect_err("nothing is set").to_string();
        for word in [
            "BAODAN_KEYS__TOKEN",
            "BAODAN_KEYS__ENVELOPE",
            "BAODAN_KEYS__INTERNAL",
            "BAODAN_BUS__URL",
            "listen",
        ] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
        strong().validate(true).expect("strong secrets are accepted");
    }

    #[test]
    fn short_well_known_and_default_secrets_stop_the_start() {
        for weak in [
            "k1:short",
            "k1:changemechangemechangemechangeme",
            "k1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "nokid",
        ] {
            let mut settings = strong();
            settings.keys.token = Some(weak.into());
            assert!(settings.validate(true).is_err(), "{weak} was accepted");
        }
        let mut dev = strong();
        dev.keys.internal = Some("short".into());
        dev.dev = true;
        dev.validate(true).expect("--dev relaxes on loopback");
        dev.listen = "0.0.0.0:8080".into();
        assert!(dev.validate(true).is_err(), "--dev beyond loopback was accepted");
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", strong());
        assert!(!shown.contains("qX7vR2mK"), "{shown}");
    }

    #[test]
    fn several_keys_overlap_while_one_is_rotated() {
        let keys = named_keys(Some(&"new:abc, old:def".into())).expect("two keys");
        assert_eq!(keys.iter().map(|k| k.id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
        assert!(named_keys(Some(&"a:x,a:y".into())).is_err());
    }
}
