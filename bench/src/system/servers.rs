//! PostgreSQL, RabbitMQ and Redis of the distributed mode: those that run already, with a database, queues and
//! keys of this run's own, removed at its end.

use contracts::events::CONSUMERS;
use lapin::{
    Connection, ConnectionProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::tools;

/// What one run uses of the servers.
#[derive(Clone)]
pub struct Servers {
    /// Database name, queue prefix and key prefix.
    name: String,
    postgres: String,
    amqp: String,
    redis: String,
    /// For the circumstances: `PostgreSQL 15.14`.
    pub versions: Vec<String>,
}

impl Servers {
    /// Makes the run's database; the error names the server that is missing and the variable that moves it.
    pub async fn prepare() -> Result<Self, String> {
        let address = |name, default: &str| tools::variable(name).unwrap_or_else(|| default.into());
        let mut servers = Self {
            name: format!("bench_{}", std::process::id()),
            postgres: address("BAODAN_TEST_PG_URL", "postgres://postgres@127.0.0.1:5432"),
            amqp: address("BAODAN_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"),
            redis: address("BAODAN_TEST_REDIS_URL", "redis://127.0.0.1:6379/0"),
            versions: vec![
                crate::machine::package("rabbitmq-server"),
                crate::machine::package("redis-server"),
            ],
        };
        servers.redis_command(&redis::cmd("PING")).await?;
        servers.broker().await?;
        let admin = servers.admin().await?;
        let failed = |e| format!("the bench's database cannot be made: {e}");
        // A database of its own has the server's durability, whatever other databases were set to.
        let version = admin
            .query_one_raw(Statement::from_string(admin.get_database_backend(), "SHOW server_version"))
            .await
            .map_err(failed)?
            .and_then(|row| row.try_get_by_index::<String>(0).ok());
        servers.versions.insert(0, format!("PostgreSQL {}", version.unwrap_or_default()));
        admin.execute_unprepared(&format!("CREATE DATABASE {}", servers.name)).await.map_err(failed)?;
        admin.close().await.map_err(failed)?;
        Ok(servers)
    }

    /// The settings that point services at this run's part of the servers.
    pub fn settings(&self) -> super::Settings {
        [
            ("BAODAN_DATABASE__URL", format!("{}/{}", self.postgres, self.name)),
            ("BAODAN_DATABASE__SCHEMA", "{service}".into()),
            ("BAODAN_BUS__URL", self.amqp.clone()),
            ("BAODAN_BUS__PREFIX", self.name.clone()),
            ("BAODAN_REDIS__URL", self.redis.clone()),
            ("BAODAN_REDIS__PREFIX", self.name.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    async fn admin(&self) -> Result<DatabaseConnection, String> {
        let mut options = ConnectOptions::new(format!("{}/postgres", self.postgres));
        options.max_connections(1).sqlx_logging(false);
        Database::connect(options)
            .await
            .map_err(|e| format!("PostgreSQL cannot be reached (BAODAN_TEST_PG_URL says where it is): {e}"))
    }

    async fn broker(&self) -> Result<Connection, String> {
        Connection::connect(&self.amqp, ConnectionProperties::default())
            .await
            .map_err(|e| format!("RabbitMQ cannot be reached (BAODAN_TEST_AMQP_URL says where it is): {e}"))
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
            [self.drop_database().await, self.delete_queues().await, self.delete_keys().await]
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

    async fn delete_queues(&self) -> Result<(), String> {
        let connection = self.broker().await?;
        let channel = connection.create_channel().await.map_err(|e| e.to_string())?;
        for consumer in CONSUMERS {
            let queue = format!("{}.{}", self.name, consumer.name);
            channel
                .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                .await
                .map_err(|e| format!("{queue}: {e}"))?;
        }
        let exchange = format!("{}.events", self.name);
        channel
            .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
            .await
            .map_err(|e| format!("{exchange}: {e}"))?;
        connection.close(200, "done".into()).await.map_err(|e| e.to_string())
    }

    async fn delete_keys(&self) -> Result<(), String> {
        let script = "local n = 0 for _, k in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('DEL', k) end return n";
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(0).arg(format!("{}:*", self.name));
        self.redis_command(&command).await.map(|_| ())
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
        let servers = Servers::prepare().await.expect("PostgreSQL, RabbitMQ and Redis");
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
