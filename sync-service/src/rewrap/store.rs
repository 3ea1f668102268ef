use platform::db::{Db, WriteTx};
use sea_orm::DbErr;

use super::Column;
use crate::sql;

/// A sealed value and where it stands.
pub struct SealedValue {
    pub id: i64,
    /// What its context is made of.
    pub place: String,
    pub sealed: String,
}

/// Every value of a column; a few thousand at the most: subscriptions, partners, keys.
pub async fn all(db: &Db, column: &Column) -> Result<Vec<SealedValue>, DbErr> {
    let Column { table, of, name, .. } = column;
    let text =
        format!("SELECT id, {of} AS place, {name} AS sealed FROM {table} WHERE {name} <> '' ORDER BY id");
    let rows = sql::query(db.conn(), text, vec![]).await?;
    rows.iter()
        .map(|row| {
            let sealed = row.try_get("", "sealed")?;
            Ok(SealedValue { id: row.try_get("", "id")?, place: row.try_get("", "place")?, sealed })
        })
        .collect()
}

/// Puts the value in, sealed anew; false when somebody changed it meanwhile.
pub async fn swap(tx: &WriteTx, column: &Column, seen: &SealedValue, again: &str) -> Result<bool, DbErr> {
    let Column { table, name, .. } = column;
    let text = format!("UPDATE {table} SET {name} = $1 WHERE id = $2 AND {name} = $3");
    let values = vec![again.into(), seen.id.into(), seen.sealed.as_str().into()];
    Ok(sql::execute(tx, text, values).await?.rows_affected() > 0)
}
