//! A run's part of PostgreSQL, RabbitMQ and Redis: a database, queues and keys of its own, removed at its end.

use contracts::events::CONSUMERS;
use lapin::{
    Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::{proc, tools};

/// Where the servers are.
#[derive(Debug, Clone)]
pub struct Urls {
    pub postgres: String,
    pub amqp: String,
    pub redis: String,
}

impl Urls {
    /// Those that run already, where the tests look for them as well.
    pub fn of_environment() -> Self {
        Self {
            postgres: address("BAODAN_TEST_PG_URL", "postgres://postgres@127.0.0.1:5432"),
            amqp: address("BAODAN_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"),
            redis: address("BAODAN_TEST_REDIS_URL", "redis://127.0.0.1:6379/0"),
        }
    }
}

/// What one run uses of the servers.
#[derive(Clone)]
pub struct Servers {
    /// Database name and key prefix.
    name: String,
    postgres: String,
    broker: Broker,
    redis: String,
    /// Of the PostgreSQL in use, when it runs on this machine.
    postmaster: Option<u32>,
    /// For the circumstances: `PostgreSQL 15.14`.
    pub versions: Vec<String>,
}

impl Servers {
    /// Makes the run's database; the error names the server that is missing and the variable that moves it.
    pub async fn prepare(urls: Urls) -> Result<Self, String> {
        let mut servers = Self {
            name: own_name(),
            postgres: urls.postgres,
            broker: Broker { url: urls.amqp, prefix: own_name() },
            redis: urls.redis,
            postmaster: None,
            versions: vec![
                crate::machine::package("rabbitmq-server"),
                crate::machine::package("redis-server"),
            ],
        };
        servers.redis_command(&redis::cmd("PING")).await?;
        servers.broker.connect().await?;
        let admin = servers.admin().await?;
        let failed = |e| format!("the bench's database cannot be made: {e}");
        // A database of its own has the server's durability, whatever other databases were set to.
        let version = admin
            .query_one_raw(Statement::from_string(admin.get_database_backend(), "SHOW server_version"))
            .await
            .map_err(failed)?
            .and_then(|row| row.try_get_by_index::<String>(0).ok());
        let backend = admin
            .query_one_raw(Statement::from_string(
                admin.get_database_backend(),
                "SELECT pg_backend_pid() AS pid",
            ))
            .await
            .map_err(failed)?
            .and_then(|row| row.try_get::<i32>("", "pid").ok());
        servers.postmaster = backend.and_then(|pid| proc::parent_of(pid.unsigned_abs()));
        servers.versions.insert(0, format!("PostgreSQL {}", version.unwrap_or_default()));
        admin.execute_unprepared(&format!("CREATE DATABASE {}", servers.name)).await.map_err(failed)?;
        admin.close().await.map_err(failed)?;
        Ok(servers)
    }

    /// CPU seconds of the database server so far, whoever uses it.
    pub fn database_cpu_seconds(&self) -> f64 {
        self.postmaster.map_or_else(|| proc::cpu_seconds_of("postgres"), proc::cpu_seconds_of_family)
    }

    /// This run's database.
    pub fn database_url(&self) -> String {
        format!("{}/{}", self.postgres, self.name)
    }

    /// The settings that point services at this run's part of the servers.
    pub fn settings(&self) -> super::Settings {
        let mut settings: super::Settings = [
            ("BAODAN_DATABASE__URL", self.database_url()),
            ("BAODAN_DATABASE__SCHEMA", "{service}".into()),
            ("BAODAN_REDIS__URL", self.redis.clone()),
            ("BAODAN_REDIS__PREFIX", self.name.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        settings.extend(self.broker.settings());
        settings
    }

    async fn admin(&self) -> Result<DatabaseConnection, String> {
        let mut options = ConnectOptions::new(format!("{}/postgres", self.postgres));
        options.max_connections(1).sqlx_logging(false);
        Database::connect(options)
            .await
            .map_err(|e| format!("PostgreSQL cannot be reached (BAODAN_TEST_PG_URL says where it is): {e}"))
    }

    async fn redis_command(&self, command: &redis::Cmd) -> Result<redis::Value, String> {
        let failed = |e| format!("Redis cannot be reached (BAODAN_TEST_REDIS_URL says where it is): {e}");
        let client = redis::Client::open(self.redis.as_str()).map_err(failed)?;
        let mut connection = client.get_multiplexed_async_connection().await.map_err(failed)?;
        command.query_async(&mut connection).await.map_err(failed)
    }

    /// Removes database, queues and keys; tries all of it and tells what could not be removed.
    pub async fn clean_up(self) -> Result<(), String> {
        let left: Vec<String> =
            [self.drop_database().await, self.broker.clean_up().await, self.delete_keys().await]
                .into_iter()
                .filter_map(Result::err)
                .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("something of {} is left: {}", self.name, left.join("; ")))
        }
    }

    async fn drop_database(&self) -> Result<(), String> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        self.admin().await?.execute_unprepared(&sql).await.map(|_| ()).map_err(|e| e.to_string())
    }

    async fn delete_keys(&self) -> Result<(), String> {
        let script = "local n = 0 for _, k in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('DEL', k) end return n";
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(0).arg(format!("{}:*", self.name));
        self.redis_command(&command).await.map(|_| ())
    }
}

/// A name no other run has.
fn own_name() -> String {
    format!("bench_{}", std::process::id())
}

fn address(variable: &str, default: &str) -> String {
    tools::variable(variable).unwrap_or_else(|| default.into())
}

/// RabbitMQ, with queues of this run's own.
#[derive(Clone)]
pub struct Broker {
    url: String,
    prefix: String,
}

impl Broker {
    pub fn of_this_run() -> Self {
        Self { url: Urls::of_environment().amqp, prefix: own_name() }
    }

    pub fn settings(&self) -> super::Settings {
        vec![("BAODAN_BUS__URL".into(), self.url.clone()), ("BAODAN_BUS__PREFIX".into(), self.prefix.clone())]
    }

    async fn connect(&self) -> Result<Connection, String> {
        Connection::connect(&self.url, ConnectionProperties::default())
            .await
            .map_err(|e| format!("RabbitMQ cannot be reached (BAODAN_TEST_AMQP_URL says where it is): {e}"))
    }

    /// Removes the run's queues and exchange; it is no failure when there are none.
    pub async fn clean_up(&self) -> Result<(), String> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await.map_err(|e| e.to_string())?;
        for consumer in CONSUMERS {
            let queue = format!("{}.{}", self.prefix, consumer.name);
            channel
                .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                .await
                .map_err(|e| format!("{queue}: {e}"))?;
        }
        let exchange = format!("{}.events", self.prefix);
        channel
            .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
            .await
            .map_err(|e| format!("{exchange}: {e}"))?;
        connection.close(200, "done".into()).await.map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn databases(servers: &Servers) -> usize {
        let admin = servers.admin().await.expect("PostgreSQL");
        let sql = format!("SELECT datname::text FROM pg_database WHERE datname = '{}'", servers.name);
        let rows = admin.query_all_raw(Statement::from_string(admin.get_database_backend(), sql)).await;
        rows.expect("a list").len()
    }

    #[tokio::test]
    async fn a_run_leaves_nothing_in_the_servers() {
        let servers = Servers::prepare(Urls::of_environment()).await.expect("PostgreSQL, RabbitMQ and Redis");
        assert_eq!(databases(&servers).await, 1);
        let key = format!("{}:quota:x", servers.name);
        servers.redis_command(redis::cmd("SET").arg(&key).arg(1)).await.expect("set");
        let again = Servers { versions: Vec::new(), ..servers.clone() };
        servers.clean_up().await.expect("removed");
        assert_eq!(databases(&again).await, 0);
        let left = again.redis_command(redis::cmd("EXISTS").arg(&key)).await.expect("asked");
        assert_eq!(left, redis::Value::Int(0));
    }
}
