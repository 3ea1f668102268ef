use contracts::identity::Actor;
use platform::{db::WriteTx, http::ApiError, ids};
use sea_orm::{DbErr, SqlErr};

use super::{
    http::{PlaceOrder, Who},
    rules, store,
};
use crate::{
    app::Ctx,
    customers,
    entities::{customer, goods as goods_row, orders},
    goods,
    lifecycle::{By, LifecycleError},
};

/// Seconds an order waits for its payment when the shop names no time, as the seed's examples show.
const DEFAULT_EXPIRE_SECONDS: i64 = 18_000;

/// Why an order was not placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error("no such goods")]
    NoGoods,
    #[error("{1}")]
    Closed(&'static str, &'static str),
    #[error("no such customer")]
    NoCustomer,
    #[error("the total is too large")]
    TooMuch,
    #[error("this outer_id is order {number}")]
    Exists { number: String },
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<PlaceError> for ApiError {
    fn from(e: PlaceError) -> Self {
        match e {
            PlaceError::NoGoods => Self::invalid("goods_id", "不存在", "does not exist"),
            PlaceError::Closed(zh, en) => Self::refused(zh, en),
            PlaceError::NoCustomer => Self::invalid("customer_id", "不存在", "does not exist"),
            PlaceError::TooMuch => Self::invalid("size", "使总金额过大", "makes the total too large"),
            PlaceError::Exists { number } => {
                let (zh, en) = (
                    format!("该 outer_id 已有订单 {number}"),
                    format!("this outer_id is order {number} already"),
                );
                Self::refused(zh, en).with_data(serde_json::json!({"number": number}))
            }
            PlaceError::Lifecycle(e) => e.into(),
            PlaceError::Db(e) => e.into(),
        }
    }
}

/// Places an order in the caller's transaction.
pub async fn place(
    ctx: &Ctx,
    tx: &WriteTx,
    wish: &PlaceOrder,
    actor: &Actor,
) -> Result<orders::Model, PlaceError> {
    let goods = goods::find(tx, wish.goods_id).await?.ok_or(PlaceError::NoGoods)?;
    if let Some((zh, en)) = goods::closed(&goods) {
        return Err(PlaceError::Closed(zh, en));
    }
    if let Some(number) = store::by_outer_id(tx, goods.partner_id, &wish.outer_id).await? {
        return Err(PlaceError::Exists { number });
    }
    let customer = match &wish.customer {
        Who::Known(id) => customers::find(tx, *id).await?.ok_or(PlaceError::NoCustomer)?,
        Who::Named(new) => customers::find_or_make(ctx, tx, new).await?,
    };
    let service = goods.kind == goods_row::SERVICE;
    let service_no = if service { store::next_service_no(tx).await? } else { 0 };
    let id = ctx.platform.ids.next();
    let birth = Birth { id, number: ctx.numbers.number(id), service_no };
    let draft = draft(wish, &goods, &customer, birth)?;
    let partner_id = draft.partner_id;
    match ctx.lifecycle.place(tx, draft, By { actor, reason: "" }).await {
        // Two at once with one outer_id: the index decides. The winner has committed, so another connection sees it.
        Err(LifecycleError::Db(e)) if is_unique(&e) => {
            match store::by_outer_id(ctx.platform.db.conn(), partner_id, &wish.outer_id).await? {
                Some(number) => Err(PlaceError::Exists { number }),
                None => Err(e.into()),
            }
        }
        other => Ok(other?),
    }
}

fn is_unique(e: &DbErr) -> bool {
    matches!(e.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// What tells one order from another that was wished for alike.
#[derive(Debug, Clone)]
pub struct Birth {
    /// Its millisecond is when the order was placed.
    pub id: i64,
    pub number: String,
    /// 0 for report goods.
    pub service_no: i64,
}

/// The row as it will be placed, without states.
///
/// # Errors
/// [`PlaceError::TooMuch`]
pub fn draft(
    wish: &PlaceOrder,
    goods: &goods_row::Model,
    customer: &customer::Model,
    birth: Birth,
) -> Result<orders::Model, PlaceError> {
    let total_fen = rules::total_fen(goods.price_fen, wish.size).ok_or(PlaceError::TooMuch)?;
    let service = goods.kind == goods_row::SERVICE;
    let read_quota = goods.read_count.checked_mul(wish.size).ok_or(PlaceError::TooMuch)?;
    let Birth { id, number, service_no } = birth;
    // The id's own millisecond: a window of days is a window of ids, to the millisecond.
    let now = ids::made_at_ms(id);
    let (goods, customer) = (goods.clone(), customer.clone());
    let [aa, bb, cc, dd, ee] = wish.inputs.clone();
    let [need_num_0, need_num_1, need_num_2, need_num_3] = wish.need_num;
    Ok(orders::Model {
        id,
        number,
        service_no,
        partner_id: goods.partner_id,
        distributor_id: wish.distributor_id,
        outer_id: wish.outer_id.clone(),
        customer_id: customer.id,
        nick_name: customer.nick_name,
        avatar: customer.avatar,
        mobile: customer.mobile,
        goods_id: goods.id,
        kind: goods.kind,
        report_id: goods.report_id,
        title: goods.name,
        cover: goods.cover,
        price_fen: goods.price_fen,
        size: wish.size,
        total_fen,
        payment_source: wish.payment_source,
        payment_channel: wish.payment_channel,
        checkout_at: now,
        expire_at: now + 1000 * wish.expire_in.unwrap_or(DEFAULT_EXPIRE_SECONDS),
        updated_at: now,
        aa,
        bb,
        cc,
        dd,
        ee,
        user_note: wish.user_note.clone(),
        // What is counted is the size, unless the shop says otherwise.
        need_num_0: need_num_0.unwrap_or(if service { wish.size } else { 0 }),
        need_num_1: need_num_1.unwrap_or(0),
        need_num_2: need_num_2.unwrap_or(0),
        need_num_3: need_num_3.unwrap_or(0),
        initial_state: goods.initial_state,
        claimed_from: goods.initial_state,
        read_quota,
        ..Default::default()
    })
}
