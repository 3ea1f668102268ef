use platform::db::{partitions, script};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::entities::MONTHLY;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261121_000001_sync"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        script(manager, TABLES).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(POSTGRES).await?;
            partitions::prepare(manager, &MONTHLY).await
        } else {
            manager.get_connection().execute_unprepared(WHOLE).await.map(|_| ())
        }
    }
}

/// Times are unix milliseconds, 0 = unset.
///
/// - `order_change`: the feed and the bytes partners get. `seq` gapless in commit order, `source` 1 own orders and
///   2 distributors', `standard` the JSON body, `gth` the form without `sign`, `traceparent` where its trace goes on
///   ("" = it has none).
/// - `feed_day`: the first `seq` of each day (unix days of its recording), so that "the last 7 days" is a range of it.
/// - `push_batch`: bytes of the batches that channel 1 pushes; a delivery of one has `change_seq` = -id.
/// - `sync_mark`: up to where a caller of the drop-in entry has seen the feed; `key_id` is the first of its rotations.
/// - `delivery`: one change on its way to one subscription, by month on PostgreSQL. Touched once per attempt, in
///   columns that no index holds. `status` as `delivery::Status`, `tries` attempts made, `last_status` 0 = no answer.
/// - `delivery_queue`: the hot part. A row lives here from the change to its acknowledgement, a parked one until
///   somebody recovers it. `state` as `delivery::rules::state`; a leased row has its lease's end in `next_attempt_at`.
/// - `delivery_attempt`: every request made, by month of its delivery; append only.
/// - `retention_mark`: how far `retention` has come with what it does not delete.
const TABLES: &str = "
CREATE TABLE partner (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    enabled BOOLEAN NOT NULL,
    privacy TEXT NOT NULL,
    login TEXT NOT NULL,
    login_hash TEXT NOT NULL
);
CREATE TABLE partner_key (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    root_id BIGINT NOT NULL,
    partner_id BIGINT NOT NULL,
    key_sha256 TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL,
    sign_required BOOLEAN NOT NULL,
    sign_method TEXT NOT NULL,
    quota_per_second BIGINT NOT NULL,
    quota_per_day BIGINT NOT NULL,
    apiuser TEXT NOT NULL,
    apipwd_md5 TEXT NOT NULL,
    ip_allow TEXT NOT NULL,
    sk TEXT NOT NULL,
    told_used_at BIGINT NOT NULL
);
CREATE INDEX partner_key_sha256 ON partner_key (key_sha256);
CREATE TABLE revoked_token (
    account_id BIGINT NOT NULL,
    jti TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, jti)
);
CREATE INDEX revoked_token_at ON revoked_token (revoked_at);
CREATE TABLE sync_mark (
    key_id BIGINT NOT NULL,
    channel SMALLINT NOT NULL,
    source SMALLINT NOT NULL,
    url_sha256 TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (key_id, channel, source, url_sha256)
);
CREATE TABLE subscription (
    id {{identity}},
    partner_id BIGINT NOT NULL,
    url TEXT NOT NULL,
    dialect TEXT NOT NULL,
    own_orders BOOLEAN NOT NULL,
    distributor_orders BOOLEAN NOT NULL,
    events TEXT NOT NULL,
    rate_limit BIGINT NOT NULL,
    latest_wins BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT NOT NULL,
    old_secret_until BIGINT NOT NULL,
    api_token TEXT NOT NULL,
    old_api_token TEXT NOT NULL,
    origin TEXT NOT NULL,
    open_until BIGINT NOT NULL,
    failing_since BIGINT NOT NULL,
    alert_level INTEGER NOT NULL,
    probe_result TEXT NOT NULL,
    probed_at BIGINT NOT NULL,
    with_public_key BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL
);
CREATE INDEX subscription_partner ON subscription (partner_id, id);
CREATE INDEX subscription_updated ON subscription (updated_at);
CREATE TABLE feed_head (
    id SMALLINT NOT NULL PRIMARY KEY,
    last_seq BIGINT NOT NULL
);
INSERT INTO feed_head (id, last_seq) VALUES (1, 0);
CREATE TABLE order_change (
    seq BIGINT NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    partner_id BIGINT NOT NULL,
    source SMALLINT NOT NULL,
    order_id BIGINT NOT NULL,
    number TEXT NOT NULL,
    order_seq BIGINT NOT NULL,
    event TEXT NOT NULL,
    checkout_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    standard TEXT NOT NULL,
    gth TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    nick_name TEXT NOT NULL,
    mobile TEXT NOT NULL
);
CREATE UNIQUE INDEX order_change_order ON order_change (number, order_seq);
CREATE INDEX order_change_partner ON order_change (partner_id, source, seq);
CREATE INDEX order_change_placed ON order_change (partner_id, source, checkout_at, seq) WHERE order_seq = 1;
CREATE TABLE feed_day (
    day BIGINT NOT NULL PRIMARY KEY,
    first_seq BIGINT NOT NULL
);
CREATE TABLE push_batch (
    id BIGINT NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    standard TEXT NOT NULL,
    gth TEXT NOT NULL,
    traceparent TEXT NOT NULL
);
CREATE TABLE delivery (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL,
    partner_id BIGINT NOT NULL,
    change_seq BIGINT NOT NULL,
    status SMALLINT NOT NULL,
    tries INTEGER NOT NULL,
    last_status INTEGER NOT NULL,
    last_error TEXT NOT NULL,
    finished_at BIGINT NOT NULL
){{by_month id}};
CREATE INDEX delivery_partner ON delivery (partner_id, id);
CREATE TABLE delivery_queue (
    delivery_id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL,
    change_seq BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    order_seq BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease BIGINT NOT NULL,
    tries INTEGER NOT NULL
);
CREATE INDEX delivery_queue_due ON delivery_queue (subscription_id, next_attempt_at) WHERE state = 1;
CREATE INDEX delivery_queue_order ON delivery_queue (order_id, subscription_id, order_seq);
CREATE INDEX delivery_queue_parked ON delivery_queue (subscription_id, delivery_id) WHERE state = 2;
CREATE TABLE delivery_attempt (
    delivery_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    try_no INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    http_status INTEGER NOT NULL,
    acknowledged BOOLEAN NOT NULL,
    error TEXT NOT NULL,
    answer TEXT NOT NULL,
    url TEXT NOT NULL,
    signature TEXT NOT NULL,
    sign TEXT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, id)
){{by_month delivery_id}};
CREATE TABLE callback_alert (
    id BIGINT NOT NULL PRIMARY KEY,
    partner_id BIGINT NOT NULL,
    subscription_id BIGINT NOT NULL,
    level INTEGER NOT NULL,
    failing_since BIGINT NOT NULL
);
CREATE INDEX callback_alert_partner ON callback_alert (partner_id, id);
CREATE TABLE retention_mark (
    name TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE TABLE signing_key (
    id {{identity}},
    public_key TEXT NOT NULL,
    private_key TEXT NOT NULL,
    created_at BIGINT NOT NULL
);";

/// On PostgreSQL each partition has this for itself (`entities::MONTHLY`).
const WHOLE: &str = "CREATE UNIQUE INDEX delivery_once ON delivery (change_seq, subscription_id)";

/// A queue that is cleaned while it is busy, because its rows live for milliseconds.
const POSTGRES: &str = "
ALTER TABLE delivery_queue SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);";
