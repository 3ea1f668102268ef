use contracts::order_state::FulfilState;
use platform::{
    audit::{self, Change, Who},
    http::ApiError,
};
use sea_orm::{ActiveValue::Set, DbErr, IntoActiveModel};

use super::{
    http::{GoodsBody, GoodsView},
    store,
};
use crate::{app::Ctx, entities::goods, wire};

/// What the audit calls them.
const TARGET: &str = "goods";

/// Why goods were not changed.
#[derive(Debug, thiserror::Error)]
pub enum GoodsError {
    #[error("no such goods")]
    NotFound,
    #[error("a report's goods follow the report")]
    FollowsReport,
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<GoodsError> for ApiError {
    fn from(e: GoodsError) -> Self {
        match e {
            GoodsError::NotFound => wire::no_such_goods(),
            GoodsError::FollowsReport => Self::refused(
                "报告商品的名称、价格等随报告变化，也随报告删除，这里只能修改所属合作方",
                "a report's goods follow the report and go with it; only the partner can be changed here",
            ),
            GoodsError::Db(e) => e.into(),
        }
    }
}

/// Makes service goods; answers the id.
pub async fn add(ctx: &Ctx, who: &Who, body: &GoodsBody) -> Result<i64, GoodsError> {
    let now = ctx.platform.clock.now_ms();
    let mut row = goods::ActiveModel {
        kind: Set(goods::SERVICE.into()),
        status: Set(1),
        initial_state: Set(FulfilState::NotStarted.into()),
        created_at: Set(now),
        ..Default::default()
    };
    apply(&mut row, body, now);
    let tx = ctx.platform.db.write_tx().await?;
    let made = store::insert(&tx, row).await?;
    let id = made.id;
    let change = Change::new("goods.add", TARGET, id).after(&GoodsView::from(made));
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    Ok(id)
}

/// Changes what `body` names.
pub async fn modify(ctx: &Ctx, who: &Who, id: i64, body: &GoodsBody) -> Result<(), GoodsError> {
    let tx = ctx.platform.db.write_tx().await?;
    let present = store::lock(&tx, id).await?.ok_or(GoodsError::NotFound)?;
    if present.kind == goods::REPORT && body.names_more_than_the_partner() {
        return Err(GoodsError::FollowsReport);
    }
    let before = GoodsView::from(present.clone());
    let mut row = present.into_active_model();
    apply(&mut row, body, ctx.platform.clock.now_ms());
    let after = GoodsView::from(store::update(&tx, row).await?);
    let change = Change::new("goods.modify", TARGET, id).before(&before).after(&after);
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes service goods, softly: orders that name them stay, and suppliers can finish those.
pub async fn delete(ctx: &Ctx, who: &Who, id: i64) -> Result<(), GoodsError> {
    let tx = ctx.platform.db.write_tx().await?;
    let present = store::lock(&tx, id).await?.ok_or(GoodsError::NotFound)?;
    if present.kind == goods::REPORT {
        return Err(GoodsError::FollowsReport);
    }
    let before = GoodsView::from(present.clone());
    let mut row = present.into_active_model();
    row.deleted_at = Set(ctx.platform.clock.now_ms());
    store::update(&tx, row).await?;
    let change = Change::new("goods.delete", TARGET, id).before(&before);
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    Ok(())
}

fn apply(row: &mut goods::ActiveModel, body: &GoodsBody, now: i64) {
    macro_rules! set {
        ($($column:ident = $value:expr),* $(,)?) => { $(if let Some(value) = $value { row.$column = Set(value); })* };
    }
    set!(
        name = body.name.clone(),
        price_fen = body.price,
        partner_id = body.partner_id,
        status = body.status,
        initial_state = body.initial_state.map(i16::from),
        format = body.format.clone(),
        presets = body.presets.as_ref().map(|p| json(p)),
        input_labels = body.input_labels.as_ref().map(|l| json(l)),
        unit = body.unit.clone(),
        type_id = body.type_id,
        type_title = body.type_title.clone(),
    );
    row.updated_at = Set(now);
}

fn json<T: serde::Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).expect("lists of plain texts are JSON")
}
