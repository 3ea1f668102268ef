//! The queries of readings.

use platform::db::{WriteTx, dialect};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Statement};

use crate::entities::{
    report,
    white_list_entry::{Entity, Model},
};

/// Uses up one reading of the first enabled entry that has one left.
pub async fn use_white_list(tx: &WriteTx, report_id: i64, mobile: &str) -> Result<Option<Model>, DbErr> {
    let (backend, sql) = dialect(
        tx,
        "UPDATE white_list_entry SET residue_count = residue_count - 1, version = version + 1
         WHERE report_id = $1 AND id = (
            SELECT id FROM white_list_entry
            WHERE report_id = $1 AND mobile = $2 AND state = 0 AND residue_count > 0
            ORDER BY id LIMIT 1 FOR UPDATE)
         RETURNING *",
        "UPDATE white_list_entry SET residue_count = residue_count - 1, version = version + 1
         WHERE report_id = $1 AND id = (
            SELECT id FROM white_list_entry
            WHERE report_id = $1 AND mobile = $2 AND state = 0 AND residue_count > 0
            ORDER BY id LIMIT 1)
         RETURNING *",
    );
    let values = [report_id.into(), mobile.into()];
    Entity::find().from_raw_sql(Statement::from_sql_and_values(backend, sql, values)).one(tx).await
}

/// Was there ever such a report? A deleted one counts.
pub async fn report_was_there(conn: &impl ConnectionTrait, id: i64) -> Result<bool, DbErr> {
    Ok(report::Entity::find_by_id(id).one(conn).await?.is_some())
}
