use contracts::{
    events::{CustomerSummary, GoodsSummary, OrderRow, PaymentSummary},
    order_state::{FulfilState, PaymentState},
};
use sea_orm::{Select, entity::prelude::*};

use crate::numbers;

/// An order. Customer and goods are copied as they were when it was placed: what was bought does not change
/// with its title, and no list needs a join.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    /// Time-ordered; its millisecond is `checkout_at`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub number: String,
    /// The short number suppliers know it by; 0 for report orders.
    pub service_no: i64,
    /// = order_seq: placing is 1, each change one more.
    pub version: i64,
    pub state: i16,
    pub fulfil_state: Option<i16>,
    pub partner_id: i64,
    pub distributor_id: i64,
    pub outer_id: String,
    pub customer_id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
    pub goods_id: i64,
    pub kind: String,
    pub report_id: i64,
    pub title: String,
    pub cover: String,
    pub price_fen: i64,
    pub size: i64,
    pub total_fen: i64,
    pub refund_fen: i64,
    /// Money that came too late and has to go back.
    pub refund_due_fen: i64,
    pub payment_source: i64,
    pub payment_channel: i64,
    pub third_trade_num: String,
    pub third_trade_identity: String,
    pub checkout_at: i64,
    pub expire_at: i64,
    pub paid_at: i64,
    pub fulfilled_at: i64,
    pub updated_at: i64,
    pub aa: String,
    pub bb: String,
    pub cc: String,
    pub dd: String,
    pub ee: String,
    pub user_note: String,
    pub api_note: String,
    pub admin_note: String,
    pub need_num_0: i64,
    pub need_num_1: i64,
    pub need_num_2: i64,
    pub need_num_3: i64,
    pub start_num: i64,
    pub now_num: i64,
    pub end_num: i64,
    /// 0 ok, 1 protected, 2 frozen, 3 wrong password.
    pub login_state: i16,
    pub start_time: i64,
    pub end_time: i64,
    /// Fulfilment state it enters when paid, copied from its goods.
    pub initial_state: i16,
    /// Who downloaded it last; 0 = nobody.
    pub supplier_id: i64,
    /// The batch it was handed out in; 0 = none.
    pub batch_id: i64,
    /// Until when its hand-out may stay unconfirmed; 0 = no lease.
    pub lease_until: i64,
    /// Where it goes back to when the lease runs out.
    pub claimed_from: i16,
    /// Readings granted (size × read_count of the report) and used.
    pub read_quota: i64,
    pub read_used: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The order of this number; its millisecond leads to one partition.
pub fn numbered(number: &str) -> Select<Entity> {
    // No number of ours: an empty stretch of ids.
    let (first, behind) = numbers::window(number).unwrap_or_default();
    Entity::find()
        .filter(Column::Number.eq(number))
        .filter(Column::Id.gte(first))
        .filter(Column::Id.lt(behind))
}

impl Model {
    pub fn payment_state(&self) -> PaymentState {
        PaymentState::try_from(self.state).expect("CHECK (state IN (1, 2, 3)) of the table")
    }

    pub fn fulfilment(&self) -> Option<FulfilState> {
        self.fulfil_state
            .map(|n| FulfilState::try_from(n).expect("CHECK (fulfil_state BETWEEN 0 AND 9) of the table"))
    }

    /// The row as partners and other services see it.
    pub fn public(&self) -> OrderRow {
        OrderRow {
            id: self.id,
            number: self.number.clone(),
            outer_id: self.outer_id.clone(),
            partner_id: self.partner_id,
            distributor_id: self.distributor_id,
            customer: CustomerSummary {
                id: self.customer_id,
                nick_name: self.nick_name.clone(),
                avatar: self.avatar.clone(),
                mobile: self.mobile.clone(),
            },
            goods: GoodsSummary {
                id: self.goods_id,
                kind: self.kind.clone(),
                title: self.title.clone(),
                report_id: self.report_id,
                cover: self.cover.clone(),
                price_fen: self.price_fen,
            },
            size: self.size,
            total_fen: self.total_fen,
            refund_fen: self.refund_fen,
            refund_due_fen: self.refund_due_fen,
            state: self.payment_state(),
            fulfil_state: self.fulfilment(),
            payment: PaymentSummary {
                source: self.payment_source,
                channel: self.payment_channel,
                third_trade_num: self.third_trade_num.clone(),
                third_trade_identity: self.third_trade_identity.clone(),
            },
            checkout_at: self.checkout_at,
            expire_at: self.expire_at,
            paid_at: self.paid_at,
            fulfilled_at: self.fulfilled_at,
            updated_at: self.updated_at,
            start_num: self.start_num,
            now_num: self.now_num,
            end_num: self.end_num,
            read_quota: self.read_quota,
            remark: self.user_note.clone(),
        }
    }
}
