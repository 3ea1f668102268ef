//! Counts in Redis, shared by all replicas: one hash per key, one script per take.
//!
//! All windows of a key live in one hash, so every script touches one key and runs on a cluster as it is.
//! The script uses the server's clock and leaves nothing without an expiry.

use std::{
    fmt,
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use redis::{
    Client, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret, SecretString};

use super::{QuotaError, Usage, Window};

/// One call, reconnecting included: a quota must not cost more than the request it guards.
const CALL_TIMEOUT_MS: u64 = 500;
const CONNECT_TIMEOUT_MS: u64 = 2000;
const RECONNECT_MIN_MS: u64 = 50;
const RECONNECT_MAX_MS: u64 = 2000;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));

static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("give_back.lua")));

/// See the module. Clones share one multiplexed connection, which reconnects by itself.
#[derive(Clone)]
pub struct RedisQuota {
    connection: ConnectionManager,
    prefix: Arc<str>,
}

impl fmt::Debug for RedisQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisQuota") // the connection knows the password
    }
}

impl RedisQuota {
    /// Connects to `redis://[user:password@]host:port/db` and waits for a PONG.
    ///
    /// # Errors
    /// The address does not parse, or Redis does not answer in 2 seconds.
    pub async fn connect(url: &SecretString) -> Result<Self, QuotaError> {
        let quota = Self::lazy(url)?;
        let mut connection = quota.connection.clone();
        let ping = redis::cmd("PING");
        within(CONNECT_TIMEOUT_MS, ping.query_async::<String>(&mut connection)).await?;
        Ok(quota)
    }

    /// Connects with the first take, so that a service may start while Redis is down. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address does not parse.
    pub fn lazy(url: &SecretString) -> Result<Self, QuotaError> {
        // The library's message is about the form of the address; it does not repeat it.
        let address = |err: redis::RedisError| QuotaError::Address(err.to_string());
        let client = Client::open(url.expose_secret()).map_err(address)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_millis(CONNECT_TIMEOUT_MS)))
            .set_response_timeout(Some(Duration::from_millis(CALL_TIMEOUT_MS)))
            .set_min_delay(Duration::from_millis(RECONNECT_MIN_MS))
            .set_max_delay(Duration::from_millis(RECONNECT_MAX_MS));
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            prefix: "baodan".into(),
        })
    }

    /// The same store with keys of its own, `<prefix>:quota:…`, for systems that share a Redis.
    #[must_use]
    pub fn prefixed(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    pub(super) async fn count(
        &self,
        key: &str,
        windows: &[Window],
        cost: u64,
    ) -> Result<Vec<Usage>, QuotaError> {
        let mut call = TAKE.key(self.hash_of(key));
        call.arg(cost);
        for window in windows {
            call.arg(window.limit_bounded()).arg(window.length_ms());
        }
        let mut connection = self.connection.clone();
        let before: Vec<u64> = within(CALL_TIMEOUT_MS, call.invoke_async(&mut connection)).await?;
        Ok(before
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[used, reset_after_ms]| Usage { used: *used, reset_after_ms: *reset_after_ms })
            .collect())
    }

    pub(super) async fn give_back(&self, key: &str, windows: &[Window], cost: u64) -> Result<(), QuotaError> {
        let mut call = GIVE_BACK.key(self.hash_of(key));
        call.arg(cost);
        for window in windows {
            call.arg(window.length_ms());
        }
        let mut connection = self.connection.clone();
        within(CALL_TIMEOUT_MS, call.invoke_async(&mut connection)).await
    }

    pub(super) async fn reset(&self, key: &str) -> Result<(), QuotaError> {
        let mut connection = self.connection.clone();
        let delete = redis::Cmd::unlink(self.hash_of(key));
        within(CALL_TIMEOUT_MS, delete.query_async(&mut connection)).await
    }

    fn hash_of(&self, key: &str) -> String {
        format!("{}:quota:{key}", self.prefix)
    }
}

async fn within<T>(ms: u64, call: impl Future<Output = RedisResult<T>>) -> Result<T, QuotaError> {
    match tokio::time::timeout(Duration::from_millis(ms), call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(QuotaError::TimedOut(ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn connected() -> RedisQuota {
        RedisQuota::connect(&testing::redis_url()).await.expect("Redis")
    }

    #[tokio::test]
    async fn every_hash_expires_with_its_longest_window() {
        let quota = connected().await;
        let key = format!("test-ttl-{}", crate::seal::random_token(9));
        quota.count(&key, &[Window::new(5, 10), Window::new(5, 100)], 1).await.unwrap();
        quota.count(&key, &[Window::new(5, 10)], 1).await.unwrap();
        let mut connection = quota.connection.clone();
        let ttl_ms: i64 =
            redis::cmd("PTTL").arg(quota.hash_of(&key)).query_async(&mut connection).await.unwrap();
        assert!((90_000..=100_000).contains(&ttl_ms), "{ttl_ms}");
    }

    #[tokio::test]
    async fn systems_with_different_prefixes_do_not_share_counts() {
        let (one, other) = (connected().await.prefixed("test-one"), connected().await.prefixed("test-other"));
        let key = format!("test-prefix-{}", crate::seal::random_token(9));
        let window = [Window::new(5, 10)];
        one.count(&key, &window, 3).await.unwrap();
        assert_eq!(other.count(&key, &window, 0).await.unwrap()[0].used, 0);
        assert_eq!(one.count(&key, &window, 0).await.unwrap()[0].used, 3);
    }

    #[tokio::test]
    async fn a_dead_or_silent_redis_is_an_error_within_the_time_out() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("an address").port();
        for url in
            [format!("redis://:hunter2@127.0.0.1:{port}/0"), "redis://:hunter2@127.0.0.1:1/0".to_owned()]
        {
            let quota = RedisQuota::lazy(&SecretString::from(url)).expect("an address");
            let started = Instant::now();
            let err = quota.count("key", &[Window::new(1, 1)], 1).await.expect_err("nobody answers");
            assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
            assert!(!format!("{err} {err:?} {quota:?}").contains("hunter2"));
        }
        let err = RedisQuota::lazy(&SecretString::from("hunter2")).expect_err("not an address");
        assert!(!format!("{err} {err:?}").contains("hunter2"));
    }
}
