//! Builds a workbook from rows of the database without holding them in memory.

use std::fs::File;

use platform::http::ApiError;
use sea_orm::DbErr;
use tokio::sync::mpsc;

use super::{
    service::{WorkbookError, with_permit},
    store,
    write::{self, Refused, Rows, Unfinished},
};
use crate::{app::Ctx, entities::white_list_import::Model};

/// Rows of one page read from the database.
const PAGE: i64 = 5_000;
/// Pages that wait for the writer.
const WAITING: usize = 2;

/// The white list of a report; `ids` narrows it.
pub async fn export(ctx: &Ctx, report_id: i64, ids: Option<Vec<i64>>) -> Result<File, ApiError> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = async move {
        let mut after = 0;
        loop {
            let conn = ctx.platform.db.conn();
            let page = store::export_page(conn, report_id, ids.as_deref(), after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.0;
            if sender.send(Rows::Some(page)).await.is_err() {
                break;
            }
        }
        let _ = sender.send(Rows::End).await;
        Ok::<_, DbErr>(())
    };
    build(ctx, reading, move || write::export(receiver)).await
}

/// The refused rows of an import.
pub async fn errors(ctx: &Ctx, import: Model) -> Result<File, ApiError> {
    let header: Vec<String> = serde_json::from_str(&import.header).map_err(ApiError::internal)?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let reading = async move {
        let mut after = 0;
        loop {
            let page = store::errors(ctx.platform.db.conn(), import.id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.row_no;
            let rows: Result<Vec<Refused>, serde_json::Error> = page
                .into_iter()
                .map(|row| Ok((row.row_no, row.reason, serde_json::from_str(&row.cells)?)))
                .collect();
            let rows = rows.map_err(|e| DbErr::Custom(format!("a refused row is no list of cells: {e}")))?;
            if sender.send(Rows::Some(rows)).await.is_err() {
                break;
            }
        }
        let _ = sender.send(Rows::End).await;
        Ok::<_, DbErr>(())
    };
    build(ctx, reading, move || write::errors(&header, receiver)).await
}

/// Runs reader and writer side by side; a reader that fails ends the writer by closing its channel.
async fn build(
    ctx: &Ctx,
    reading: impl Future<Output = Result<(), DbErr>>,
    writing: impl FnOnce() -> Result<File, Unfinished> + Send + 'static,
) -> Result<File, ApiError> {
    let writing = with_permit(&ctx.writers, move || {
        writing().map(Some).or_else(|e| match e {
            Unfinished::GivenUp => Ok(None),
            Unfinished::Failed(e) => Err(WorkbookError::from(e)),
        })
    });
    let (read, written) = tokio::join!(reading, writing);
    read?;
    written?.ok_or_else(|| ApiError::internal("the rows of a workbook ended early"))
}
