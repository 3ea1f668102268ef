use platform::db::{self, Columns, WriteTx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QuerySelect, Statement, Value,
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

/// A customer to be.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub id: i64,
    pub mobile: &'a str,
    pub nick_name: &'a str,
    /// Unix milliseconds.
    pub regist_at: i64,
}

/// Makes a customer of each mobile that has none, and fills in empty names; answers those it touched. Each mobile
/// stands there once, in the order of mobiles.
pub(super) async fn make_many(
    tx: &WriteTx,
    persons: &[Person<'_>],
    now: i64,
) -> Result<Vec<customer::Model>, DbErr> {
    let backend = tx.get_database_backend();
    let rows = Columns::new()
        .integers("id", persons.iter().map(|p| p.id))
        .texts("mobile", persons.iter().map(|p| p.mobile))
        .texts("nick_name", persons.iter().map(|p| p.nick_name))
        .integers("at", persons.iter().map(|p| p.regist_at));
    let (from, unfolded) = rows.source(backend, 1, "n");
    // Customers that need nothing are left out before the insert: it would lock them. A sub-select is one probe a
    // mobile; the planner may turn a join into a scan of all customers.
    let sql = format!(
        "INSERT INTO customer (id, mobile, nick_name, regist_at, created_at)
            SELECT n.id, n.mobile, n.nick_name, n.at, $1 FROM {from}
            WHERE (SELECT c.nick_name <> '' OR n.nick_name = '' FROM customer AS c WHERE c.mobile = n.mobile)
                IS NOT TRUE
         ON CONFLICT (mobile) DO UPDATE SET nick_name = excluded.nick_name, version = customer.version + 1
            WHERE customer.nick_name = '' AND excluded.nick_name <> ''
         RETURNING *"
    );
    let mut values: Vec<Value> = vec![now.into()];
    values.extend(unfolded);
    let rows = tx.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    rows.iter().map(|row| customer::Model::from_query_result(row, "")).collect()
}

/// A white-list entry as it is told.
#[derive(Debug)]
pub(super) struct Grant<'a> {
    pub entry_id: i64,
    pub version: i64,
    pub report_id: i64,
    pub mobile: &'a str,
    pub open: bool,
    /// Unix milliseconds.
    pub granted_at: i64,
}

/// Keeps white-list entries, each newer than what is known; each entry stands there once.
pub(super) async fn keep_grants(tx: &WriteTx, grants: &[Grant<'_>]) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    let rows = Columns::new()
        .integers("entry_id", grants.iter().map(|g| g.entry_id))
        .integers("version", grants.iter().map(|g| g.version))
        .integers("report_id", grants.iter().map(|g| g.report_id))
        .texts("mobile", grants.iter().map(|g| g.mobile))
        .integers("open", grants.iter().map(|g| g.open.into()))
        .integers("granted_at", grants.iter().map(|g| g.granted_at));
    let (from, values) = rows.source(backend, 0, "e");
    let sql = format!(
        "INSERT INTO white_list_grant (entry_id, version, report_id, customer_id, open, granted_at)
            SELECT e.entry_id, e.version, e.report_id,
                COALESCE((SELECT c.id FROM customer AS c WHERE c.mobile = e.mobile), 0), e.open, e.granted_at
            FROM {from} WHERE true
         ON CONFLICT (entry_id) DO UPDATE SET version = excluded.version, report_id = excluded.report_id,
            customer_id = excluded.customer_id, open = excluded.open, granted_at = excluded.granted_at
         WHERE white_list_grant.version < excluded.version"
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
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
