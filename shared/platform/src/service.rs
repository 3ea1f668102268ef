//! What a service is made of, and what it is given.

use std::{sync::Arc, time::Duration};

use actix_web::web::ServiceConfig;
use chrono_tz::Tz;
use contracts::routes::ServiceName;
use sea_orm::DbErr;
use sea_orm_migration::MigratorTrait;

use crate::{
    bus::{Bus, InProcessBus, RabbitBus},
    clock::Clock,
    crash,
    db::{self, Db, Plans, lease},
    http::{caller::InternalKey, openapi::with_failures},
    ids::Ids,
    inbox::InboxConsumer,
    lifecycle::{Turn, Worker},
    outbox::{Outbox, Relay},
    quota::{MemoryQuota, Quota, QuotaError, RedisQuota},
    seal::Sealer,
    settings::Settings,
};

/// Keys the in-process quota store remembers at the most: hostile callers must not fill the memory.
const MAX_QUOTA_KEYS: usize = 100_000;

/// What the services of one process share.
#[derive(Clone)]
pub struct Shared {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub bus: Bus,
    pub quota: Quota,
}

/// Why a service cannot start; one sentence for whoever started it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database of {service} cannot be used: {source}")]
    Database { service: &'static str, source: DbErr },
    #[error(
        "{service} has pending migrations ({names}); run `baodan migrate` first, or set database.auto_migrate"
    )]
    PendingMigrations { service: &'static str, names: String },
    #[error("all {} id nodes of {service} are taken by running replicas", crate::ids::NODES)]
    NoFreeNode { service: &'static str },
    #[error("Redis cannot be used: {0}")]
    Quota(#[from] QuotaError),
    #[error("{0}")]
    Settings(String),
}

impl Shared {
    /// The bus and the quota store that `settings` name, on the system's clock.
    pub async fn from_settings(settings: Settings) -> Result<Self, StartError> {
        Self::with_clock(settings, Clock::system()).await
    }

    /// The same on a clock that is handed in.
    pub async fn with_clock(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let bus = match &settings.bus.url {
            Some(url) => Bus::Rabbit(RabbitBus::new(url.clone(), settings.bus.prefix())),
            None => Bus::InProcess(InProcessBus::default()),
        };
        let quota = match &settings.redis.url {
            Some(url) => Quota::Redis(RedisQuota::lazy(url)?.prefixed(settings.redis.prefix())),
            None => Quota::Memory(MemoryQuota::new(clock.clone(), MAX_QUOTA_KEYS)),
        };
        Ok(Self { settings: Arc::new(settings), clock, bus, quota })
    }
}

/// What one service is given to build itself from. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    pub service: ServiceName,
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub tz: Tz,
    pub db: Db,
    pub bus: Bus,
    pub quota: Quota,
    pub ids: Ids,
    pub outbox: Outbox,
    pub sealer: Sealer,
    pub internal_key: InternalKey,
    holder: lease::Holder,
    node: i64,
}

impl Platform {
    /// Connects to the service's database, applies its migrations, takes an id node.
    pub async fn start<M: MigratorTrait>(shared: &Shared, service: ServiceName) -> Result<Self, StartError> {
        Self::start_with::<M>(shared, service, Plans::Free).await
    }

    /// As [`Platform::start`], with statements planned like this.
    pub async fn start_with<M: MigratorTrait>(
        shared: &Shared,
        service: ServiceName,
        plans: Plans,
    ) -> Result<Self, StartError> {
        let name = service.as_str();
        let database = |source| StartError::Database { service: name, source };
        let settings = &shared.settings;
        let of_service = settings.database.for_service(name, &settings.data_dir);
        let db = Db::connect_patiently(&of_service, plans).await.map_err(database)?;
        if of_service.auto_migrate {
            db::migrate::<M>(&db).await.map_err(database)?;
        } else {
            let names = db::pending::<M>(&db).await.map_err(database)?;
            if !names.is_empty() {
                return Err(StartError::PendingMigrations { service: name, names: names.join(", ") });
            }
        }
        let holder = lease::Holder::new(name);
        let node = lease::take_node(&db, &shared.clock, &holder)
            .await
            .map_err(database)?
            .ok_or(StartError::NoFreeNode { service: name })?;
        let ids = Ids::new(shared.clock.clone(), node);
        let internal = settings
            .keys
            .internal
            .clone()
            .ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
        let sealing = settings.envelope_keys().into_iter().map(|k| (k.id, k.secret)).collect();
        Ok(Self {
            service,
            settings: Arc::clone(settings),
            clock: shared.clock.clone(),
            tz: settings.timezone,
            outbox: Outbox::new(service, ids.clone(), shared.clock.clone()),
            db,
            bus: shared.bus.clone(),
            quota: shared.quota.clone(),
            ids,
            sealer: Sealer::new(sealing).map_err(|e| StartError::Settings(format!("keys.envelope: {e}")))?,
            internal_key: InternalKey::new(&internal),
            holder,
            node,
        })
    }

    /// The relay, the keeper of the id node, the housekeeping: what every service runs besides its own.
    fn own_workers(&self) -> Vec<Worker> {
        let relay = Relay::new(self.service, self.db.clone(), self.bus.clone(), self.clock.clone()).workers();
        let keeper = {
            let platform = self.clone();
            Worker::job("id-node-keeper", Duration::from_secs(20), None, move || {
                let platform = platform.clone();
                async move { platform.keep_node().await }
            })
        };
        let housekeeping = {
            let platform = self.clone();
            Worker::job("housekeeping", Duration::from_secs(60), None, move || {
                let platform = platform.clone();
                async move { platform.housekeeping().await }
            })
        };
        let lag = {
            let platform = self.clone();
            Worker::job("outbox-lag", Duration::from_secs(15), None, move || {
                let platform = platform.clone();
                async move { platform.note_lag().await }
            })
        };
        relay.into_iter().chain([keeper, housekeeping, lag]).collect()
    }

    #[allow(clippy::disallowed_methods)] // an id made twice does more harm than an end out of order
    async fn keep_node(&self) -> Result<Turn, DbErr> {
        let name = lease::node_name(self.node);
        if lease::take(&self.db, &self.clock, &name, &self.holder, lease::NODE_LEASE_MS).await?.is_none() {
            // Another process makes ids with our node: going on could make the same id twice.
            tracing::error!(
                service = self.service.as_str(),
                node = self.node,
                "id node lost to another process; ending this one"
            );
            std::process::exit(70);
        }
        crash::point("node.renewed");
        Ok(Turn::Idle)
    }

    /// As often as the metrics are fetched, usually: an alert must not wait for the figure.
    async fn note_lag(&self) -> Result<Turn, DbErr> {
        let service = self.service.as_str();
        let (rows, age_ms) = crate::outbox::lag(&self.db, &self.clock).await?;
        metrics::gauge!("outbox_waiting", "service" => service).set(rows as f64);
        metrics::gauge!("outbox_oldest_seconds", "service" => service).set(age_ms as f64 / 1000.0);
        Ok(Turn::Idle)
    }

    async fn housekeeping(&self) -> Result<Turn, DbErr> {
        let inbox_keep_ms = i64::from(self.settings.inbox_keep_days.max(1)) * 86_400_000;
        let purged = crate::inbox::purge(&self.db, &self.clock, inbox_keep_ms).await?
            + crate::http::idempotency::purge(&self.db, &self.clock).await?;
        Ok(if purged > 0 { Turn::Done } else { Turn::Idle })
    }
}

/// A service, wired and ready to be mounted and run.
pub struct Service {
    pub name: ServiceName,
    pub db: Db,
    /// With the failures that its routes can answer.
    pub openapi: utoipa::openapi::OpenApi,
    /// Adds the service's routes, by full path, to an app.
    pub configure: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
    pub workers: Vec<Worker>,
    /// Names of the consumers that were attached to the bus.
    pub consumers: Vec<&'static str>,
}

impl Service {
    /// Wires a service: its routes, its consumers (attached to the bus), its own workers, the platform's.
    pub fn new(
        platform: &Platform,
        openapi: utoipa::openapi::OpenApi,
        configure: impl Fn(&mut ServiceConfig) + Send + Sync + 'static,
        consumers: Vec<InboxConsumer>,
        mut workers: Vec<Worker>,
    ) -> Self {
        let names = consumers.iter().map(InboxConsumer::name).collect();
        workers.extend(consumers.into_iter().filter_map(|c| platform.bus.attach(c)));
        workers.extend(platform.own_workers());
        Self {
            name: platform.service,
            db: platform.db.clone(),
            openapi: with_failures(openapi),
            configure: Arc::new(configure),
            workers,
            consumers: names,
        }
    }
}
