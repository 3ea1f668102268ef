//! Which half of the promise a run checks, and where the servers of the distributed half are.

use secrecy::SecretString;

/// Embedded: SQLite, in-process bus, in-memory quotas. Distributed: PostgreSQL, RabbitMQ, Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Embedded,
    Distributed,
}

impl Mode {
    /// From `BAODAN_TEST_MODE`; absent = embedded.
    ///
    /// # Panics
    /// For any other word: a typing error must not run half of the tests.
    pub fn current() -> Self {
        match variable("BAODAN_TEST_MODE").as_deref() {
            None | Some("" | "embedded") => Self::Embedded,
            Some("distributed") => Self::Distributed,
            Some(other) => panic!("BAODAN_TEST_MODE is embedded or distributed, not {other:?}"),
        }
    }
}

#[allow(clippy::disallowed_methods)] // a test run is told by its environment; services never read this
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// PostgreSQL without a database: the harness has one of its own, `baodan_test`.
pub(crate) fn postgres_url() -> String {
    variable("BAODAN_TEST_PG_URL").unwrap_or_else(|| "postgres://postgres@127.0.0.1:5432".into())
}

pub(crate) fn amqp_url() -> SecretString {
    variable("BAODAN_TEST_AMQP_URL").unwrap_or_else(|| "amqp://guest:guest@127.0.0.1:5672/%2f".into()).into()
}

/// The Redis of the distributed mode, and of what is tested on it in both.
pub fn redis_url() -> SecretString {
    variable("BAODAN_TEST_REDIS_URL").unwrap_or_else(|| "redis://127.0.0.1:6379/0".into()).into()
}

/// The browser that pages are tested in, as `make test` found it.
pub fn chromium() -> String {
    variable("BAODAN_TEST_CHROMIUM").unwrap_or_else(|| "chromium".into())
}
