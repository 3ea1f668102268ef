use platform::db::{Db, WriteTx};
use sea_orm::{DbErr, QueryResult, Value};

use crate::{partner_sync::store::MarkOf, sql};

/// Rows looked at in one transaction.
const BATCH: usize = 2_000;
/// Characters that stay of an old answer.
const KEPT_OF_ANSWER: usize = 256;

/// Where the last of the next [`BATCH`] rows of `table` in `(after, until]` of `column` is; `None` = there are none.
pub async fn stretch(
    db: &Db,
    (table, column): (&str, &str),
    after: i64,
    until: i64,
) -> Result<Option<i64>, DbErr> {
    let text = format!(
        "SELECT max(k) AS last FROM (SELECT {column} AS k FROM {table} WHERE {column} > $1 AND {column} <= $2
            ORDER BY {column} LIMIT {BATCH}) AS rows_ahead"
    );
    let rows = sql::query(db.conn(), text, vec![after.into(), until.into()]).await?;
    rows.first().map_or(Ok(None), |row| row.try_get("", "last"))
}

/// Cuts the answers to the deliveries in `(after, until]`.
pub async fn cut_answers(tx: &WriteTx, after: i64, until: i64) -> Result<u64, DbErr> {
    let text = format!(
        "UPDATE delivery_attempt SET answer = substr(answer, 1, {KEPT_OF_ANSWER})
        WHERE delivery_id > $1 AND delivery_id <= $2 AND length(answer) > {KEPT_OF_ANSWER}"
    );
    rows(tx, text, vec![after.into(), until.into()]).await
}

/// Up to which delivery answers are cut.
pub async fn answers_cut_until(db: &Db) -> Result<i64, DbErr> {
    let text = "SELECT until FROM retention_mark WHERE name = 'answers'";
    let found = sql::query(db.conn(), text, vec![]).await?;
    found.first().map_or(Ok(0), |row| row.try_get("", "until"))
}

pub async fn note_answers_cut(tx: &WriteTx, until: i64) -> Result<(), DbErr> {
    let text = "INSERT INTO retention_mark (name, until) VALUES ('answers', $1)
        ON CONFLICT (name) DO UPDATE SET until = excluded.until";
    rows(tx, text.into(), vec![until.into()]).await.map(|_| ())
}

/// Deletes the deliveries in `(after, until]` that have left the queue, with their attempts.
pub async fn delete_deliveries(tx: &WriteTx, after: i64, until: i64) -> Result<u64, DbErr> {
    const ENDED: &str = "NOT EXISTS (SELECT 1 FROM delivery_queue q WHERE q.delivery_id =";
    let between = || vec![after.into(), until.into()];
    let attempts = format!(
        "DELETE FROM delivery_attempt WHERE delivery_id > $1 AND delivery_id <= $2
            AND {ENDED} delivery_attempt.delivery_id)"
    );
    rows(tx, attempts, between()).await?;
    let deliveries = format!("DELETE FROM delivery WHERE id > $1 AND id <= $2 AND {ENDED} delivery.id)");
    rows(tx, deliveries, between()).await
}

/// Deletes the pushed batches in `(after, until]` that no delivery carries any more.
pub async fn delete_batches(tx: &WriteTx, after: i64, until: i64) -> Result<(), DbErr> {
    let text = "DELETE FROM push_batch WHERE id > $1 AND id <= $2
        AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.change_seq = -push_batch.id)";
    rows(tx, text.into(), vec![after.into(), until.into()]).await.map(|_| ())
}

/// Deletes alerts up to this id.
pub async fn delete_alerts(tx: &WriteTx, until: i64) -> Result<u64, DbErr> {
    let text = format!(
        "DELETE FROM callback_alert WHERE id IN (SELECT id FROM callback_alert WHERE id <= $1 ORDER BY id LIMIT {BATCH})"
    );
    rows(tx, text, vec![until.into()]).await
}

/// Deletes the lines of the feed in `(after, until]` that nothing needs; their orders have no line behind `horizon`.
pub async fn delete_changes(tx: &WriteTx, after: i64, until: i64, horizon: i64) -> Result<u64, DbErr> {
    let text = "DELETE FROM order_change WHERE seq > $1 AND seq <= $2
        AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.change_seq = order_change.seq)
        AND NOT EXISTS (SELECT 1 FROM order_change n WHERE n.number = order_change.number AND n.seq > $3)";
    rows(tx, text.into(), vec![after.into(), until.into(), horizon.into()]).await
}

/// The key of a mark, by which the table is walked.
const MARK: &str = "key_id, channel, source, url_sha256";

fn place(mark: &MarkOf) -> [Value; 4] {
    [mark.key_id.into(), mark.channel.into(), mark.source.into(), mark.url_sha256.as_str().into()]
}

/// The last of the next [`BATCH`] marks behind `after`; `None` = there are none.
pub async fn marks_ahead(db: &Db, after: &MarkOf) -> Result<Option<MarkOf>, DbErr> {
    let text = format!(
        "SELECT {MARK} FROM (SELECT {MARK} FROM sync_mark WHERE ({MARK}) > ($1, $2, $3, $4)
            ORDER BY {MARK} LIMIT {BATCH}) AS marks_ahead
        ORDER BY key_id DESC, channel DESC, source DESC, url_sha256 DESC LIMIT 1"
    );
    let rows = sql::query(db.conn(), text, place(after).into()).await?;
    let read = |row: &QueryResult| {
        Ok(MarkOf {
            key_id: row.try_get("", "key_id")?,
            channel: row.try_get("", "channel")?,
            source: row.try_get("", "source")?,
            url_sha256: row.try_get("", "url_sha256")?,
        })
    };
    rows.first().map(read).transpose()
}

/// Deletes the marks in `(after, last]` that do not reach beyond `spent`. One that a call is moving meanwhile is
/// looked at again when that call has committed.
pub async fn delete_marks(tx: &WriteTx, after: &MarkOf, last: &MarkOf, spent: i64) -> Result<u64, DbErr> {
    let text = format!(
        "DELETE FROM sync_mark WHERE ({MARK}) > ($1, $2, $3, $4) AND ({MARK}) <= ($5, $6, $7, $8) AND seq <= $9"
    );
    let values = place(after).into_iter().chain(place(last)).chain([spent.into()]);
    rows(tx, text, values.collect()).await
}

async fn rows(tx: &WriteTx, text: String, values: Vec<Value>) -> Result<u64, DbErr> {
    sql::execute(tx, text, values).await.map(|done| done.rows_affected())
}
