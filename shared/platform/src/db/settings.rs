use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// How to reach the database. `url` and `schema` may contain `{service}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `postgres://…` or `sqlite://…`; absent = one SQLite file per service in the data folder.
    pub url: Option<SecretString>,
    /// PostgreSQL schema, made when missing; absent = the connection's own.
    pub schema: Option<String>,
    /// Connections of one service at the most.
    pub max_connections: u32,
    pub connect_timeout_seconds: u64,
    /// How long a start waits for a database that does not answer yet.
    pub start_patience_seconds: u64,
    /// How long a request waits for a free connection.
    pub acquire_timeout_seconds: u64,
    /// Apply pending migrations at the start; otherwise a service with pending ones refuses to start.
    pub auto_migrate: bool,
    /// Full months of orders and their history that stay attached on PostgreSQL; older ones are detached to be
    /// archived. 0 = all stay. Deliveries go by [`crate::settings::CallbackSettings::keep_deliveries_days`].
    pub keep_months: u32,
}

/// How PostgreSQL plans a service's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plans {
    /// As it sees fit.
    #[default]
    Free,
    /// By index, row by row. For a service whose statements all go by keys: a plan that was made while a table was
    /// empty is kept for a connection's life, and reads the whole table long after it has grown.
    ByKey,
    /// As [`Plans::ByKey`], and once for a connection's life, whatever the values are: see [`super::Db::keeping_plans`].
    Kept,
}

impl Plans {
    /// What a connection begins with, a statement each.
    pub fn settings(self) -> &'static [&'static str] {
        const KEPT: [&str; 4] = [
            "SET enable_seqscan = off",
            "SET enable_hashjoin = off",
            "SET enable_mergejoin = off",
            "SET plan_cache_mode = force_generic_plan",
        ];
        match self {
            Self::Free => &[],
            Self::ByKey => &KEPT[..3],
            Self::Kept => &KEPT,
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: None,
            schema: None,
            max_connections: 16,
            connect_timeout_seconds: 5,
            start_patience_seconds: 30,
            acquire_timeout_seconds: 10,
            auto_migrate: true,
            keep_months: 0,
        }
    }
}

impl DatabaseSettings {
    /// PostgreSQL on the loopback, and the URL says nothing of TLS. There TLS protects nothing and costs much: sqlx
    /// leaves Nagle's algorithm on, so a statement of several TLS records waits 40 ms for the server's delayed
    /// acknowledgement (measured: an import took eight times as long).
    pub(super) fn stays_on_this_machine(&self) -> bool {
        let Ok(url) = url::Url::parse(&self.expose_url()) else { return false };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost" || host.parse().is_ok_and(|a: std::net::IpAddr| a.is_loopback());
        let speaks_of_tls = url.query_pairs().any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
        url.scheme().starts_with("postgres") && loopback && !speaks_of_tls
    }

    /// The settings with `{service}` filled in, and the embedded file where no URL is set.
    pub fn for_service(&self, service: &str, data_dir: &Path) -> Self {
        let url = match &self.url {
            Some(url) => url.expose_secret().replace("{service}", service),
            None => format!("sqlite://{}", data_dir.join(format!("{service}.db")).display()),
        };
        Self {
            url: Some(url.into()),
            schema: self.schema.as_ref().map(|s| s.replace("{service}", service)),
            ..self.clone()
        }
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.as_ref().is_none_or(|u| u.expose_secret().starts_with("sqlite:"))
    }

    pub(super) fn expose_url(&self) -> String {
        self.url.as_ref().map(|u| u.expose_secret().to_owned()).unwrap_or_default()
    }

    /// Adds a sentence for each setting that cannot work.
    pub fn validate(&self, problems: &mut Vec<String>) {
        if let Some(url) = &self.url {
            let url = url.expose_secret();
            if !["postgres://", "postgresql://", "sqlite:"].iter().any(|p| url.starts_with(p)) {
                problems.push(
                    "database.url must start with postgres:// or sqlite: (BAODAN_DATABASE__URL)".into(),
                );
            }
            if url.starts_with("sqlite:") && !url.contains("{service}") {
                problems.push(
                    "database.url for SQLite must contain {service}: each service has its own file".into(),
                );
            }
        }
        if let Some(schema) = &self.schema
            && !schema.replace("{service}", "x").chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            problems.push("database.schema may hold letters, digits, _ and {service} only".into());
        }
        if !matches!(self.keep_months, 0 | 3..=1200) {
            problems.push(
                "database.keep_months must be 0 (keep all) or 3 to 1200 (BAODAN_DATABASE__KEEP_MONTHS)"
                    .into(),
            );
        }
        if self.max_connections < 2 {
            problems.push("database.max_connections must be at least 2".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_left_out_on_the_loopback_only_and_never_against_the_url() {
        let stays = |url: &str| {
            DatabaseSettings { url: Some(url.into()), ..DatabaseSettings::default() }.stays_on_this_machine()
        };
        for url in ["postgres://u@127.0.0.1:5432/d", "postgresql://u:p@localhost/d", "postgres://[::1]/d?x=1"]
        {
            assert!(stays(url), "{url}");
        }
        for url in [
            "postgres://u@db.example/d",
            "postgres://u@10.0.0.7/d",
            "postgres://localhost.example/d",
            "postgres://127.0.0.1/d?sslmode=require",
            "sqlite://data/order.db",
            "postgres:///d?host=/run/postgresql",
        ] {
            assert!(!stays(url), "{url}");
        }
    }
}
