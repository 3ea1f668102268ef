use serde::{Deserialize, Serialize};

use crate::{
    event::Payload,
    identity::Actor,
    order_state::{FulfilState, PaymentState},
};

/// An order's state moved. `order_seq` is gapless per order: placing is 1, each transition one more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderStateChanged {
    pub order: OrderRow,
    pub previous: PreviousStates,
    /// What happened, as the state tables call it: `place`, `pay`, `cancel`, `expire`, `late_pay`, `claim`, `edit`, …
    pub event: String,
    pub order_seq: i64,
    pub actor: Actor,
    /// Why, in the actor's words; "" when nothing was said.
    pub reason: String,
}

/// The states before the change; both absent for the placing itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PreviousStates {
    pub state: Option<PaymentState>,
    pub fulfil_state: Option<FulfilState>,
}

/// The public row of an order. Times are unix milliseconds, 0 = unset; amounts are fen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    pub id: i64,
    pub number: String,
    /// The partner's own id, "" when it gave none.
    pub outer_id: String,
    /// 0 = the house's own goods.
    pub partner_id: i64,
    /// 0 = sold by the partner itself.
    pub distributor_id: i64,
    pub customer: CustomerSummary,
    pub goods: GoodsSummary,
    pub size: i64,
    pub total_fen: i64,
    pub refund_fen: i64,
    /// Money that came after the order was cancelled and has to go back; 0 otherwise.
    #[serde(default)]
    pub refund_due_fen: i64,
    pub state: PaymentState,
    /// Absent for report orders and before payment.
    pub fulfil_state: Option<FulfilState>,
    pub payment: PaymentSummary,
    pub checkout_at: i64,
    pub expire_at: i64,
    pub paid_at: i64,
    pub fulfilled_at: i64,
    pub updated_at: i64,
    pub start_num: i64,
    pub now_num: i64,
    pub end_num: i64,
    /// Reads granted by a report order (size × read_count), 0 otherwise.
    #[serde(default)]
    pub read_quota: i64,
    #[serde(default)]
    pub remark: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomerSummary {
    pub id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoodsSummary {
    pub id: i64,
    /// `report` or `service`.
    pub kind: String,
    pub title: String,
    /// 0 for service goods.
    pub report_id: i64,
    pub cover: String,
    /// Fen a piece.
    pub price_fen: i64,
}

/// Where the money came from; the integers are stored and echoed as they come (`spec/report-admin-api.md`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PaymentSummary {
    pub source: i64,
    pub channel: i64,
    pub third_trade_num: String,
    pub third_trade_identity: String,
}

/// A reading right was used up by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadingUsed {
    pub report_id: i64,
    pub customer_id: i64,
    /// The white-list entry or the order that paid for it.
    pub right: String,
    pub left: i64,
    /// Unix milliseconds.
    pub used_at: i64,
}

impl Payload for OrderStateChanged {
    const TYPE: &'static str = "order.state_changed";
    const VERSION: u32 = 1;
}

impl Payload for ReadingUsed {
    const TYPE: &'static str = "reading.used";
    const VERSION: u32 = 1;
}
