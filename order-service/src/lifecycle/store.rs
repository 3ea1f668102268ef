use contracts::identity::Actor;
use platform::db::{self, Columns, WriteTx};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    FromQueryResult, IntoActiveModel, QueryFilter, QuerySelect, Statement, Value, sea_query::Expr,
};

use crate::entities::{late_payment, order_outer_id, orders};

/// The order under a lock, so that what is decided on it still holds when it is saved.
pub(super) async fn lock_by_number(tx: &WriteTx, number: &str) -> Result<Option<orders::Model>, DbErr> {
    orders::numbered(number).lock_exclusive().one(tx).await
}

pub(super) async fn lock_by_service_no(
    tx: &WriteTx,
    service_no: i64,
) -> Result<Option<orders::Model>, DbErr> {
    orders::Entity::find()
        .filter(orders::Column::ServiceNo.eq(service_no))
        .filter(orders::Column::ServiceNo.gt(0))
        .lock_exclusive()
        .one(tx)
        .await
}

pub(super) async fn insert(tx: &WriteTx, order: &orders::Model) -> Result<(), DbErr> {
    if !order.outer_id.is_empty() {
        let row = order_outer_id::Model {
            partner_id: order.partner_id,
            outer_id: order.outer_id.clone(),
            number: order.number.clone(),
        };
        order_outer_id::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(tx)
            .await?;
    }
    orders::Entity::insert(order.clone().into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(|_| ())
}

/// Writes what differs between `before` and `after`, if `before` is still what stands there.
pub(super) async fn replace(
    tx: &WriteTx,
    before: &orders::Model,
    after: &orders::Model,
) -> Result<bool, DbErr> {
    let mut row = orders::ActiveModel { version: Set(after.version), ..Default::default() };
    macro_rules! changed {
        ($($field:ident),*) => { $(if before.$field != after.$field { row.$field = Set(after.$field.clone()); })* };
    }
    changed!(
        state,
        fulfil_state,
        refund_fen,
        refund_due_fen,
        payment_channel,
        third_trade_num,
        third_trade_identity,
        paid_at,
        fulfilled_at,
        updated_at,
        start_num,
        now_num,
        end_num,
        login_state,
        start_time,
        end_time,
        lease_until,
        aa,
        bb,
        cc,
        dd,
        ee
    );
    let done = orders::Entity::update_many()
        .set(row)
        .filter(orders::Column::Id.eq(before.id))
        .filter(orders::Column::Version.eq(before.version))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// JSON of the public fields that differ: `{"now_num": [0, 5]}`.
pub(super) fn difference(before: &orders::Model, after: &orders::Model) -> String {
    let mut changed = serde_json::Map::new();
    macro_rules! note {
        ($($field:ident),*) => { $(if before.$field != after.$field {
            changed.insert(stringify!($field).into(), serde_json::json!([before.$field, after.$field]));
        })* };
    }
    note!(
        refund_fen,
        refund_due_fen,
        payment_channel,
        third_trade_num,
        third_trade_identity,
        paid_at,
        fulfilled_at,
        start_num,
        now_num,
        end_num,
        login_state,
        start_time,
        end_time
    );
    serde_json::Value::Object(changed).to_string()
}

/// What history rows of one statement have in common.
pub(super) struct HistoryOf<'a> {
    pub at: i64,
    pub event: &'a str,
    pub actor: &'a Actor,
    pub from_state: Option<i16>,
    pub to_state: i16,
    pub from_fulfil: Option<i16>,
    pub to_fulfil: Option<i16>,
    pub reason: &'a str,
}

/// Writes one history row for each of `rows` (order id, seq, changed fields) in one statement.
pub(super) async fn history(
    tx: &WriteTx,
    common: &HistoryOf<'_>,
    rows: &[(i64, i64, &str)],
) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    let mut values: Vec<Value> = vec![
        common.at.into(),
        common.event.into(),
        common.actor.kind.as_str().into(),
        common.actor.id.into(),
        common.actor.name.as_str().into(),
        common.from_state.into(),
        common.to_state.into(),
        common.from_fulfil.into(),
        common.to_fulfil.into(),
        common.reason.into(),
    ];
    let rows = Columns::new()
        .integers("order_id", rows.iter().map(|r| r.0))
        .integers("seq", rows.iter().map(|r| r.1))
        .texts("changed", rows.iter().map(|r| r.2));
    let (from, unfolded) = rows.source(backend, values.len(), "h");
    values.extend(unfolded);
    let sql = format!(
        "INSERT INTO order_history (order_id, seq, changed, at, event, actor_kind, actor_id, actor_name,
                from_state, to_state, from_fulfil, to_fulfil, reason)
            SELECT h.order_id, h.seq, h.changed, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM {from}"
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
}

/// `UPDATE orders SET set WHERE id IN (pick) RETURNING *`. PostgreSQL locks what it picks and leaves out
/// what others hold; the picking is materialised, or the planner may run it again for every row and take more
/// than the limit. The ids go as one array, so that each is sought by the primary key whatever the planner believes
/// of the months (a join may read them whole), and their ends leave out the months that hold none. On SQLite
/// `write_tx` is the only writer.
pub(super) fn pick_and_set(backend: DbBackend, set: &str, pick: &str, values: Vec<Value>) -> Statement {
    let sql = match backend {
        DbBackend::Postgres => format!(
            "WITH picked AS MATERIALIZED (SELECT id FROM orders WHERE {pick} FOR UPDATE SKIP LOCKED)
             UPDATE orders AS o SET {set} WHERE o.id = ANY(ARRAY(SELECT id FROM picked))
                AND o.id >= (SELECT min(id) FROM picked) AND o.id <= (SELECT max(id) FROM picked) RETURNING o.*"
        ),
        _ => format!(
            "UPDATE orders AS o SET {set} WHERE id IN (SELECT id FROM orders WHERE {pick}) RETURNING *"
        ),
    };
    Statement::from_sql_and_values(backend, sql, values)
}

/// Runs an `UPDATE … RETURNING` over orders and answers the rows as they are now.
pub(super) async fn update_returning(
    tx: &WriteTx,
    statement: Statement,
) -> Result<Vec<orders::Model>, DbErr> {
    let rows = tx.query_all_raw(statement).await?;
    rows.iter().map(|row| orders::Model::from_query_result(row, "")).collect()
}

/// Was this payment noted before?
pub(super) async fn late_payment_known(tx: &WriteTx, order_id: i64, trade: &str) -> Result<bool, DbErr> {
    if trade.is_empty() {
        return Ok(false);
    }
    let found = late_payment::Entity::find()
        .filter(late_payment::Column::OrderId.eq(order_id))
        .filter(late_payment::Column::ThirdTradeNum.eq(trade))
        .one(tx)
        .await?;
    Ok(found.is_some())
}

pub(super) async fn insert_late_payment(tx: &WriteTx, row: late_payment::Model) -> Result<(), DbErr> {
    late_payment::Entity::insert(row.into_active_model().reset_all())
        .exec_without_returning(tx)
        .await
        .map(|_| ())
}

/// Ends the lease of a batch's orders for good; answers how many still had one.
pub(super) async fn end_lease(tx: &WriteTx, batch_id: i64) -> Result<u64, DbErr> {
    let done = orders::Entity::update_many()
        .col_expr(orders::Column::LeaseUntil, Expr::val(0_i64))
        .filter(orders::Column::BatchId.eq(batch_id))
        .filter(orders::Column::BatchId.gt(0))
        .filter(orders::Column::LeaseUntil.gt(0))
        .exec(tx)
        .await?;
    Ok(done.rows_affected)
}

/// Sets what is used of orders' readings from what is left. `rows` is a JSON list of `[number, left, first id,
/// id behind the last]`, each order once; a figure that is higher than what is known changes nothing.
pub(super) async fn set_left(tx: &WriteTx, rows: &str) -> Result<(), DbErr> {
    let (backend, sql) = db::dialect(
        tx,
        "UPDATE orders SET read_used = read_quota - v.rest
            FROM (SELECT e->>0 AS number, (e->>1)::bigint AS rest, (e->>2)::bigint AS first, (e->>3)::bigint AS behind
                FROM json_array_elements($1::json) AS e) AS v
            WHERE orders.number = v.number AND orders.id >= v.first AND orders.id < v.behind
                AND v.rest >= 0 AND read_quota - v.rest > read_used",
        "UPDATE orders SET read_used = read_quota - v.rest
            FROM (SELECT json_extract(value, '$[0]') AS number, json_extract(value, '$[1]') AS rest
                FROM json_each($1)) AS v
            WHERE orders.number = v.number AND v.rest >= 0 AND read_quota - v.rest > read_used",
    );
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.into()])).await.map(|_| ())
}
