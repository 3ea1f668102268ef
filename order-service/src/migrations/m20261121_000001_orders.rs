use platform::db::partitions;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

use crate::entities::MONTHLY;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261121_000001_orders"
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        platform::db::script(manager, TABLES).await?;
        if postgres {
            manager.get_connection().execute_unprepared("CREATE SEQUENCE order_service_no").await?;
            partitions::prepare(manager, &MONTHLY).await
        } else {
            manager.get_connection().execute_unprepared(WHOLE).await.map(|_| ())
        }
    }
}

/// On PostgreSQL each partition has these for itself (`entities::MONTHLY`).
const WHOLE: &str = "
CREATE UNIQUE INDEX orders_number ON orders (number);
CREATE UNIQUE INDEX orders_service_no ON orders (service_no) WHERE service_no > 0;
";

const TABLES: &str = r#"
CREATE TABLE goods (
    id {{identity}},
    kind TEXT NOT NULL CHECK (kind IN ('report', 'service')),
    name TEXT NOT NULL,
    cover TEXT NOT NULL DEFAULT '',
    price_fen BIGINT NOT NULL CHECK (price_fen >= 0),
    partner_id BIGINT NOT NULL DEFAULT 0,
    report_id BIGINT NOT NULL DEFAULT 0,
    report_version BIGINT NOT NULL DEFAULT 0,
    read_count BIGINT NOT NULL DEFAULT 0,
    status SMALLINT NOT NULL DEFAULT 1,
    initial_state SMALLINT NOT NULL DEFAULT 1 CHECK (initial_state IN (0, 1)),
    format TEXT NOT NULL DEFAULT '',
    presets TEXT NOT NULL DEFAULT '[]',
    input_labels TEXT NOT NULL DEFAULT '[]',
    unit TEXT NOT NULL DEFAULT '',
    type_id BIGINT NOT NULL DEFAULT 0,
    type_title TEXT NOT NULL DEFAULT '',
    deleted_at BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX goods_report ON goods (report_id) WHERE report_id <> 0;

CREATE TABLE customer (
    id BIGINT NOT NULL PRIMARY KEY,
    mobile {{bytes}} NOT NULL UNIQUE,
    nick_name TEXT NOT NULL DEFAULT '',
    avatar TEXT NOT NULL DEFAULT '',
    regist_at BIGINT NOT NULL DEFAULT 0,
    last_login_at BIGINT NOT NULL DEFAULT 0,
    last_review_at BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL
);

-- White-list entries as report-service tells them: each is a subscription of its customer.
CREATE TABLE white_list_grant (
    entry_id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    report_id BIGINT NOT NULL,
    -- 0 for one that was removed before its customer was known.
    customer_id BIGINT NOT NULL,
    -- 0 once it was disabled or removed; the row stays, so that a late word cannot bring it back.
    open SMALLINT NOT NULL CHECK (open IN (0, 1)),
    granted_at BIGINT NOT NULL
);
CREATE INDEX white_list_grant_customer ON white_list_grant (customer_id, granted_at) WHERE open = 1;
CREATE INDEX white_list_grant_time ON white_list_grant (granted_at, customer_id) WHERE open = 1;

CREATE TABLE orders (
    id BIGINT NOT NULL PRIMARY KEY,
    number {{bytes}} NOT NULL,
    service_no BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL,
    state SMALLINT NOT NULL CHECK (state IN (1, 2, 3)),
    fulfil_state SMALLINT CHECK (fulfil_state BETWEEN 0 AND 9),
    partner_id BIGINT NOT NULL DEFAULT 0,
    distributor_id BIGINT NOT NULL DEFAULT 0,
    outer_id {{bytes}} NOT NULL DEFAULT '',
    customer_id BIGINT NOT NULL,
    nick_name TEXT NOT NULL,
    avatar TEXT NOT NULL,
    mobile {{bytes}} NOT NULL,
    goods_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    report_id BIGINT NOT NULL,
    title TEXT NOT NULL,
    cover TEXT NOT NULL,
    price_fen BIGINT NOT NULL,
    size BIGINT NOT NULL CHECK (size > 0),
    total_fen BIGINT NOT NULL CHECK (total_fen >= 0),
    refund_fen BIGINT NOT NULL DEFAULT 0 CHECK (refund_fen BETWEEN 0 AND total_fen),
    refund_due_fen BIGINT NOT NULL DEFAULT 0 CHECK (refund_due_fen >= 0),
    payment_source BIGINT NOT NULL DEFAULT 0,
    payment_channel BIGINT NOT NULL DEFAULT 0,
    third_trade_num {{bytes}} NOT NULL DEFAULT '',
    third_trade_identity TEXT NOT NULL DEFAULT '',
    checkout_at BIGINT NOT NULL,
    expire_at BIGINT NOT NULL DEFAULT 0,
    paid_at BIGINT NOT NULL DEFAULT 0,
    fulfilled_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL,
    aa TEXT NOT NULL DEFAULT '',
    bb TEXT NOT NULL DEFAULT '',
    cc TEXT NOT NULL DEFAULT '',
    dd TEXT NOT NULL DEFAULT '',
    ee TEXT NOT NULL DEFAULT '',
    user_note TEXT NOT NULL DEFAULT '',
    api_note TEXT NOT NULL DEFAULT '',
    admin_note TEXT NOT NULL DEFAULT '',
    need_num_0 BIGINT NOT NULL DEFAULT 0,
    need_num_1 BIGINT NOT NULL DEFAULT 0,
    need_num_2 BIGINT NOT NULL DEFAULT 0,
    need_num_3 BIGINT NOT NULL DEFAULT 0,
    start_num BIGINT NOT NULL DEFAULT 0,
    now_num BIGINT NOT NULL DEFAULT 0,
    end_num BIGINT NOT NULL DEFAULT 0,
    login_state SMALLINT NOT NULL DEFAULT 0,
    start_time BIGINT NOT NULL DEFAULT 0,
    end_time BIGINT NOT NULL DEFAULT 0,
    initial_state SMALLINT NOT NULL DEFAULT 1,
    supplier_id BIGINT NOT NULL DEFAULT 0,
    batch_id BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT NOT NULL DEFAULT 0,
    claimed_from SMALLINT NOT NULL DEFAULT 1,
    read_quota BIGINT NOT NULL DEFAULT 0,
    read_used BIGINT NOT NULL DEFAULT 0 CHECK (read_used BETWEEN 0 AND read_quota),
    -- 0 no readings, 1 used up, 2 in use: a column, so that only the last reading touches an index.
    usage SMALLINT GENERATED ALWAYS AS
        (CASE WHEN read_quota = 0 THEN 0 WHEN read_used = read_quota THEN 1 ELSE 2 END) STORED
) {{by_month id}};
-- A supplier's poll and its claim: one probe when there is nothing new.
CREATE INDEX orders_work ON orders (goods_id, fulfil_state, id) WHERE fulfil_state IS NOT NULL;
-- The time-outs: one probe however many orders are open.
CREATE INDEX orders_due ON orders (expire_at) WHERE state = 1;
-- The same rows again for a repeated batch; leases that ran out.
CREATE INDEX orders_batch ON orders (batch_id, id) WHERE batch_id > 0;
CREATE INDEX orders_lease ON orders (lease_until) WHERE lease_until > 0;
-- Pages of the admin lists, newest first, and their counts: one index for each filter.
CREATE INDEX orders_customer ON orders (customer_id, id);
CREATE INDEX orders_state ON orders (state, id);
CREATE INDEX orders_usage ON orders (usage, id) WHERE usage > 0;
CREATE INDEX orders_trade ON orders (third_trade_num, id) WHERE third_trade_num <> '';
-- What was paid in a stretch of time, by whom and how much, without a look at the orders themselves.
CREATE INDEX orders_paid ON orders (paid_at, id, customer_id, total_fen) WHERE paid_at > 0;

CREATE TABLE order_history (
    order_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BIGINT NOT NULL,
    actor_name TEXT NOT NULL,
    from_state SMALLINT,
    to_state SMALLINT NOT NULL,
    from_fulfil SMALLINT,
    to_fulfil SMALLINT,
    reason TEXT NOT NULL DEFAULT '',
    changed TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, seq)
) {{by_month order_id}};

-- Unique for each partner over all months.
CREATE TABLE order_outer_id (
    partner_id BIGINT NOT NULL,
    outer_id {{bytes}} NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (partner_id, outer_id)
);

CREATE TABLE late_payment (
    order_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    payment_channel BIGINT NOT NULL,
    third_trade_num TEXT NOT NULL,
    third_trade_identity TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    refunded_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, seq)
);
-- One notice of one payment counts once, however often the shop repeats it.
CREATE UNIQUE INDEX late_payment_trade ON late_payment (order_id, third_trade_num) WHERE third_trade_num <> '';
CREATE INDEX late_payment_due ON late_payment (received_at) WHERE refunded_at = 0;

CREATE TABLE supplier_key (
    key_id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    supplier_id BIGINT NOT NULL,
    supplier_name TEXT NOT NULL,
    goods_ids TEXT NOT NULL,
    key_sha256 TEXT NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL DEFAULT 0,
    used_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE supplier_batch (
    id BIGINT NOT NULL PRIMARY KEY,
    supplier_id BIGINT NOT NULL,
    batch_no TEXT NOT NULL,
    goods_id BIGINT NOT NULL,
    from_state SMALLINT NOT NULL,
    fence BIGINT NOT NULL DEFAULT 1,
    lease_until BIGINT NOT NULL DEFAULT 0,
    acked_at BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    UNIQUE (supplier_id, batch_no)
);
CREATE INDEX supplier_batch_created_at ON supplier_batch (created_at);

CREATE TABLE invoice (
    order_id BIGINT NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL CHECK (state IN (1, 2)),
    is_vat SMALLINT NOT NULL,
    invoice_option SMALLINT NOT NULL,
    amount_fen BIGINT NOT NULL CHECK (amount_fen > 0),
    invoice_title TEXT NOT NULL,
    invoice_tax_num TEXT NOT NULL,
    vat_name TEXT NOT NULL,
    vat_mail_address TEXT NOT NULL,
    vat_company_name TEXT NOT NULL,
    vat_company_address TEXT NOT NULL,
    vat_company_mobile TEXT NOT NULL,
    vat_telphone TEXT NOT NULL,
    vat_bank_name TEXT NOT NULL,
    vat_bank_account TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What a partner's own page last said of its goods.
CREATE TABLE partner_goods (
    partner_id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    goods_ids TEXT NOT NULL
);
"#;
