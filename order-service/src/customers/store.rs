use platform::db::{self, WriteTx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QuerySelect, Statement,
};

use crate::entities::customer;

/// A customer by id.
///
/// # Errors
/// The database.
pub async fn find<C: ConnectionTrait>(conn: &C, id: i64) -> Result<Option<customer::Model>, DbErr> {
    customer::Entity::find_by_id(id).one(conn).await
}

pub(super) async fn lock(tx: &WriteTx, id: i64) -> Result<Option<customer::Model>, DbErr> {
    customer::Entity::find_by_id(id).lock_exclusive().one(tx).await
}

pub(super) async fn find_by_mobile<C: ConnectionTrait>(
    conn: &C,
    mobile: &str,
) -> Result<Option<customer::Model>, DbErr> {
    customer::Entity::find().filter(customer::Column::Mobile.eq(mobile)).one(conn).await
}

pub(super) async fn insert(tx: &WriteTx, row: customer::Model) -> Result<(), DbErr> {
    customer::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await.map(|_| ())
}

/// Writes a row that [`lock`] answered.
pub(super) async fn update(tx: &WriteTx, row: customer::Model) -> Result<(), DbErr> {
    customer::Entity::update(row.into_active_model().reset_all()).exec(tx).await.map(|_| ())
}

/// The customer of this mobile, made if there is none; an empty name or picture is filled in.
pub(super) async fn upsert(tx: &WriteTx, row: &customer::Model) -> Result<customer::Model, DbErr> {
    let sql = "INSERT INTO customer (id, mobile, nick_name, avatar, regist_at, last_login_at, last_review_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (mobile) DO UPDATE SET
            nick_name = CASE WHEN customer.nick_name = '' THEN excluded.nick_name ELSE customer.nick_name END,
            avatar = CASE WHEN customer.avatar = '' THEN excluded.avatar ELSE customer.avatar END,
            version = customer.version + 1
        RETURNING *";
    let values = [
        row.id.into(),
        row.mobile.as_str().into(),
        row.nick_name.as_str().into(),
        row.avatar.as_str().into(),
        row.regist_at.into(),
        row.last_login_at.into(),
        row.last_review_at.into(),
        row.created_at.into(),
    ];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotInserted)?;
    customer::Model::from_query_result(&row, "")
}

/// Makes a customer of each mobile that has none, and fills in empty names; answers those it touched. `rows` is
/// a JSON list of `[id, mobile, nick_name, regist_at]`, each mobile once, in the order of mobiles.
pub(super) async fn make_many(tx: &WriteTx, rows: &str, now: i64) -> Result<Vec<customer::Model>, DbErr> {
    // Customers that need nothing are left out before the insert: it would lock them.
    let (backend, sql) = db::dialect(
        tx,
        "INSERT INTO customer (id, mobile, nick_name, regist_at, created_at)
            SELECT n.id, n.mobile, n.nick_name, n.at, $2 FROM (
                SELECT (e->>0)::bigint AS id, e->>1 AS mobile, e->>2 AS nick_name, (e->>3)::bigint AS at
                FROM json_array_elements($1::json) AS e) AS n
            LEFT JOIN customer AS c ON c.mobile = n.mobile
            WHERE c.id IS NULL OR (c.nick_name = '' AND n.nick_name <> '') ORDER BY n.mobile
         ON CONFLICT (mobile) DO UPDATE SET nick_name = excluded.nick_name, version = customer.version + 1
            WHERE customer.nick_name = '' AND excluded.nick_name <> ''
         RETURNING *",
        "INSERT INTO customer (id, mobile, nick_name, regist_at, created_at)
            SELECT n.value->>0, n.value->>1, n.value->>2, n.value->>3, $2 FROM json_each($1) AS n
            LEFT JOIN customer AS c ON c.mobile = n.value->>1
            WHERE c.id IS NULL OR (c.nick_name = '' AND n.value->>2 <> '')
         ON CONFLICT (mobile) DO UPDATE SET nick_name = excluded.nick_name, version = customer.version + 1
            WHERE customer.nick_name = '' AND excluded.nick_name <> ''
         RETURNING *",
    );
    let statement = Statement::from_sql_and_values(backend, sql, [rows.into(), now.into()]);
    let rows = tx.query_all_raw(statement).await?;
    rows.iter().map(|row| customer::Model::from_query_result(row, "")).collect()
}

/// Keeps white-list entries, each newer than what is known. `rows` is a JSON list of
/// `[entry_id, version, report_id, mobile, open, granted_at]`, each entry once.
pub(super) async fn keep_grants(tx: &WriteTx, rows: &str) -> Result<(), DbErr> {
    let (backend, sql) = db::dialect(
        tx,
        "INSERT INTO white_list_grant (entry_id, version, report_id, customer_id, open, granted_at)
            SELECT (e->>0)::bigint, (e->>1)::bigint, (e->>2)::bigint, COALESCE(c.id, 0), (e->>4)::smallint,
                (e->>5)::bigint
            FROM json_array_elements($1::json) AS e LEFT JOIN customer AS c ON c.mobile = e->>3
         ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, report_id = excluded.report_id,
            customer_id = excluded.customer_id, open = excluded.open, granted_at = excluded.granted_at
         WHERE white_list_grant.version < excluded.version",
        "INSERT INTO white_list_grant (entry_id, version, report_id, customer_id, open, granted_at)
            SELECT e.value->>0, e.value->>1, e.value->>2, COALESCE(c.id, 0), e.value->>4, e.value->>5
            FROM json_each($1) AS e LEFT JOIN customer AS c ON c.mobile = e.value->>3 WHERE true
         ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, report_id = excluded.report_id,
            customer_id = excluded.customer_id, open = excluded.open, granted_at = excluded.granted_at
         WHERE white_list_grant.version < excluded.version",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.into()])).await.map(|_| ())
}

/// Notes when customers read last; an earlier time than what is known changes nothing. `rows` is a JSON list of
/// `[customer_id, at]`, each customer once.
///
/// # Errors
/// The database.
pub async fn note_reviews(tx: &WriteTx, rows: &str) -> Result<(), DbErr> {
    let (backend, sql) = db::dialect(
        tx,
        "UPDATE customer SET last_review_at = v.at
            FROM (SELECT (e->>0)::bigint AS id, (e->>1)::bigint AS at FROM json_array_elements($1::json) AS e) AS v
            WHERE customer.id = v.id AND customer.last_review_at < v.at",
        "UPDATE customer SET last_review_at = v.at
            FROM (SELECT value->>0 AS id, value->>1 AS at FROM json_each($1)) AS v
            WHERE customer.id = v.id AND customer.last_review_at < v.at",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.into()])).await.map(|_| ())
}
