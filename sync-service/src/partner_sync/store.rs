use platform::db::WriteTx;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;

use crate::{
    entities::subscription::{self, Entity, Model},
    sql::{self, Column},
};

/// Whose mark: one for each (key, channel, type, api_url).
#[derive(Debug, Clone)]
pub struct MarkOf {
    /// The first key of the chain of rotations.
    pub key_id: i64,
    pub channel: i16,
    pub source: i16,
    pub url_sha256: String,
}

/// The number up to which this caller has seen the feed, 0 at first; locked until the transaction ends.
pub async fn lock_mark(tx: &WriteTx, of: &MarkOf) -> Result<i64, DbErr> {
    let sql = "INSERT INTO sync_mark (key_id, channel, source, url_sha256, seq) VALUES ($1, $2, $3, $4, 0)
        ON CONFLICT (key_id, channel, source, url_sha256) DO UPDATE SET seq = sync_mark.seq RETURNING seq";
    let values = vec![of.key_id.into(), of.channel.into(), of.source.into(), of.url_sha256.as_str().into()];
    let rows = sql::query(tx, sql, values).await?;
    rows.first().map_or(Ok(0), |row| row.try_get("", "seq"))
}

pub async fn move_mark(tx: &WriteTx, of: &MarkOf, seq: i64) -> Result<(), DbErr> {
    let sql = "UPDATE sync_mark SET seq = $5 WHERE key_id = $1 AND channel = $2 AND source = $3 AND url_sha256 = $4";
    let values = vec![
        of.key_id.into(),
        of.channel.into(),
        of.source.into(),
        of.url_sha256.as_str().into(),
        seq.into(),
    ];
    sql::execute(tx, sql, values).await.map(|_| ())
}

/// The living subscription this entry made: of a partner and type (channel 2), or of a partner and address.
pub async fn made_here(tx: &WriteTx, partner_id: i64, source: i16) -> Result<Option<Model>, DbErr> {
    use subscription::Column;
    let typed =
        if source == crate::changes::rules::OWN { Column::OwnOrders } else { Column::DistributorOrders };
    Entity::find()
        .filter(Column::PartnerId.eq(partner_id))
        .filter(Column::Origin.eq("drop_in"))
        .filter(Column::DeletedAt.eq(0))
        .filter(typed.eq(true))
        .order_by_asc(Column::Id)
        .one(tx)
        .await
}

/// The living address that channel 1 pushes to.
pub async fn push_address(tx: &WriteTx, partner_id: i64, url: &str) -> Result<Option<Model>, DbErr> {
    use subscription::Column;
    Entity::find()
        .filter(Column::PartnerId.eq(partner_id))
        .filter(Column::Origin.eq("push"))
        .filter(Column::DeletedAt.eq(0))
        .filter(Column::Url.eq(url))
        .one(tx)
        .await
}

/// A batch of rows to be pushed.
#[derive(Debug, Serialize)]
pub struct NewBatch {
    pub id: i64,
    pub event_id: String,
    pub standard: String,
    pub gth: String,
    /// "" = no trace.
    pub traceparent: String,
}

const BATCH: &[Column] =
    &[("id", "bigint"), ("event_id", "text"), ("standard", "text"), ("gth", "text"), ("traceparent", "text")];

pub async fn insert_batches(tx: &WriteTx, batches: &[NewBatch]) -> Result<(), DbErr> {
    sql::insert(tx, "push_batch", BATCH, batches, "").await
}

/// Of these changes those that have no delivery to the subscription yet.
pub async fn undelivered(tx: &WriteTx, subscription_id: i64, seqs: &[i64]) -> Result<Vec<i64>, DbErr> {
    let from = sql::integers(tx.get_database_backend(), 1, "r");
    let sql = format!(
        "SELECT r.v AS seq FROM {from} WHERE NOT EXISTS
            (SELECT 1 FROM delivery d WHERE d.change_seq = r.v AND d.subscription_id = $2)"
    );
    let rows = sql::query(tx, sql, vec![sql::ones(seqs)?, subscription_id.into()]).await?;
    rows.iter().map(|row| row.try_get("", "seq")).collect()
}
