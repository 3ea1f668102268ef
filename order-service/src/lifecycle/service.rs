use contracts::{
    events::{OrderStateChanged, PreviousStates},
    identity::Actor,
    order_state::FulfilState,
};
use platform::{clock::Clock, db::WriteTx, http::ApiError, outbox::Outbox};
use sea_orm::DbErr;

use super::{
    rules::{self, Facts, FulfilEvent, PaymentEvent, Refusal},
    store,
};
use crate::{
    entities::{goods, late_payment, orders},
    wire,
};

/// Moves orders. Cheap to clone; everything it does happens in the caller's transaction.
#[derive(Clone)]
pub struct Lifecycle {
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
}

/// Who changes an order, and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub actor: &'a Actor,
    /// "" when nothing was said.
    pub reason: &'a str,
}

/// Why an order was not changed.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    #[error("no such order")]
    NotFound,
    #[error("{0}")]
    Refused(Refusal),
    #[error("the amount must be {expected_fen} fen")]
    Amount { expected_fen: i64 },
    #[error("the order was changed at the same moment")]
    LostRace,
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<Refusal> for LifecycleError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<LifecycleError> for ApiError {
    fn from(e: LifecycleError) -> Self {
        match e {
            LifecycleError::NotFound => wire::no_such_order(),
            LifecycleError::Refused(refusal) => {
                let (zh, en) = refusal.sentences();
                let data = serde_json::json!({"state": refusal.state(), "allowed": refusal.allowed()});
                Self::refused(zh, en).with_data(data)
            }
            LifecycleError::Amount { expected_fen } => Self::invalid(
                "amount",
                format!("与订单金额不符，应为 {expected_fen} 分"),
                format!("differs from the order's total of {expected_fen} fen"),
            ),
            LifecycleError::LostRace => Self::refused(
                "订单刚被其他请求修改，请重试",
                "the order was changed by another request at the same moment, try again",
            ),
            LifecycleError::Db(e) => e.into(),
        }
    }
}

/// A payment as the shop reports it.
#[derive(Debug, Clone)]
pub struct Payment {
    pub amount_fen: i64,
    /// `None` keeps what the order was placed with.
    pub channel: Option<i64>,
    pub third_trade_num: String,
    pub third_trade_identity: String,
}

/// What became of a payment.
#[derive(Debug)]
pub enum Paid {
    Completed(orders::Model),
    /// The order was cancelled before: the money is noted and must go back.
    TooLate(orders::Model),
}

/// What `edit` of the supplier API may say; absent = as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edit {
    pub state: Option<FulfilState>,
    pub start_num: Option<i64>,
    pub now_num: Option<i64>,
    pub end_num: Option<i64>,
    pub login_state: Option<i16>,
}

/// What came of an edit.
#[derive(Debug)]
pub enum Edited {
    /// The state moved.
    Moved,
    /// Counters were saved; that is no change of state.
    Counted,
    /// It says what stands there already.
    Same,
}

impl Lifecycle {
    pub fn new(outbox: Outbox, clock: Clock) -> Self {
        Self { outbox, clock }
    }

    /// Places an order: `draft` is the row without states. A free one is paid and in work at once.
    ///
    /// # Errors
    /// [`LifecycleError::Db`]; a unique violation names an outer_id or number that exists.
    pub async fn place(
        &self,
        tx: &WriteTx,
        draft: orders::Model,
        by: By<'_>,
    ) -> Result<orders::Model, LifecycleError> {
        let order = placed(draft)?;
        store::insert(tx, &order).await?;
        let change = Change { event: PaymentEvent::Place.name(), before: None, after: order };
        self.record(tx, change, by).await
    }

    /// Takes a payment. One that comes after the end of an unpaid order ends it first.
    ///
    /// # Errors
    /// Not found, paid already, or another amount than the order's.
    pub async fn pay(
        &self,
        tx: &WriteTx,
        number: &str,
        payment: &Payment,
        by: By<'_>,
    ) -> Result<Paid, LifecycleError> {
        let before = store::lock_by_number(tx, number).await?.ok_or(LifecycleError::NotFound)?;
        let before = self.expire_if_due(tx, before).await?;
        let (state, facts) = (before.payment_state(), self.facts(&before));
        let mut after = before.clone();
        if rules::next_payment(Some(state), PaymentEvent::LatePay, &facts).is_ok() {
            return self.pay_late(tx, before, payment, by).await;
        }
        after.state = rules::next_payment(Some(state), PaymentEvent::Pay, &facts)?.into();
        if payment.amount_fen != before.total_fen {
            return Err(LifecycleError::Amount { expected_fen: before.total_fen });
        }
        after.payment_channel = payment.channel.unwrap_or(before.payment_channel);
        after.third_trade_num.clone_from(&payment.third_trade_num);
        after.third_trade_identity.clone_from(&payment.third_trade_identity);
        enter(&mut after, self.clock.now_ms())?;
        self.save(tx, before, after, PaymentEvent::Pay.name(), by).await.map(Paid::Completed)
    }

    /// Notes money for a cancelled order; the same trade number counts once.
    async fn pay_late(
        &self,
        tx: &WriteTx,
        before: orders::Model,
        payment: &Payment,
        by: By<'_>,
    ) -> Result<Paid, LifecycleError> {
        if store::late_payment_known(tx, before.id, &payment.third_trade_num).await? {
            return Ok(Paid::TooLate(before));
        }
        let mut after = before.clone();
        after.refund_due_fen += payment.amount_fen;
        let row = late_payment::Model {
            order_id: before.id,
            seq: before.version + 1,
            amount_fen: payment.amount_fen,
            payment_channel: payment.channel.unwrap_or(before.payment_channel),
            third_trade_num: payment.third_trade_num.clone(),
            third_trade_identity: payment.third_trade_identity.clone(),
            received_at: self.clock.now_ms(),
            refunded_at: 0,
        };
        store::insert_late_payment(tx, row).await?;
        self.save(tx, before, after, PaymentEvent::LatePay.name(), by).await.map(Paid::TooLate)
    }

    /// Cancels an unpaid order by hand.
    ///
    /// # Errors
    /// Not found, or not unpaid.
    pub async fn cancel(
        &self,
        tx: &WriteTx,
        number: &str,
        by: By<'_>,
    ) -> Result<orders::Model, LifecycleError> {
        let before = store::lock_by_number(tx, number).await?.ok_or(LifecycleError::NotFound)?;
        let mut after = before.clone();
        let state = before.payment_state();
        after.state = rules::next_payment(Some(state), PaymentEvent::Cancel, &self.facts(&before))?.into();
        self.save(tx, before, after, PaymentEvent::Cancel.name(), by).await
    }

    async fn expire_if_due(
        &self,
        tx: &WriteTx,
        order: orders::Model,
    ) -> Result<orders::Model, LifecycleError> {
        let state = order.payment_state();
        match rules::next_payment(Some(state), PaymentEvent::Expire, &self.facts(&order)) {
            Err(_) => Ok(order),
            Ok(state) => {
                let after = orders::Model { state: state.into(), ..order.clone() };
                let by = By { actor: &Actor::system("timeout"), reason: "" };
                self.save(tx, order, after, PaymentEvent::Expire.name(), by).await
            }
        }
    }

    /// The service order a supplier calls `service_no`, locked for what follows in this transaction.
    ///
    /// # Errors
    /// Not found.
    pub async fn lock(&self, tx: &WriteTx, service_no: i64) -> Result<orders::Model, LifecycleError> {
        store::lock_by_service_no(tx, service_no).await?.ok_or(LifecycleError::NotFound)
    }

    pub(super) fn facts(&self, order: &orders::Model) -> Facts {
        facts(order, self.clock.now_ms())
    }

    /// Compare-and-set, then history and outbox.
    pub(super) async fn save(
        &self,
        tx: &WriteTx,
        before: orders::Model,
        mut after: orders::Model,
        event: &'static str,
        by: By<'_>,
    ) -> Result<orders::Model, LifecycleError> {
        after.version = before.version + 1;
        after.updated_at = self.clock.now_ms();
        if !store::replace(tx, &before, &after).await? {
            return Err(LifecycleError::LostRace);
        }
        self.record(tx, Change { event, before: Some(before), after }, by).await
    }

    async fn record(
        &self,
        tx: &WriteTx,
        change: Change,
        by: By<'_>,
    ) -> Result<orders::Model, LifecycleError> {
        let (common, changed) = change.history(by);
        store::history(tx, &common, &[(change.after.id, change.after.version, &changed)]).await?;
        self.outbox.append(tx, change.after.number.clone(), &change.event(by)).await?;
        Ok(change.after)
    }
}

/// One change on its way into the tables.
pub(super) struct Change {
    pub event: &'static str,
    pub before: Option<orders::Model>,
    pub after: orders::Model,
}

impl Change {
    /// What its history row says, and the fields that changed.
    pub fn history<'a>(&self, by: By<'a>) -> (store::HistoryOf<'a>, String) {
        let Self { event, before, after } = self;
        let changed = before.as_ref().map_or_else(|| "{}".to_owned(), |b| store::difference(b, after));
        let common = store::HistoryOf {
            at: after.updated_at,
            event,
            actor: by.actor,
            from_state: before.as_ref().map(|b| b.state),
            to_state: after.state,
            from_fulfil: before.as_ref().and_then(|b| b.fulfil_state),
            to_fulfil: after.fulfil_state,
            reason: by.reason,
        };
        (common, changed)
    }

    /// What other services are told of it.
    pub fn event(&self, by: By<'_>) -> OrderStateChanged {
        let Self { event, before, after } = self;
        OrderStateChanged {
            previous: PreviousStates {
                state: before.as_ref().map(orders::Model::payment_state),
                fulfil_state: before.as_ref().and_then(orders::Model::fulfilment),
            },
            order: after.public(),
            event: (*event).into(),
            order_seq: after.version,
            actor: by.actor.clone(),
            reason: by.reason.into(),
        }
    }
}

/// The first state of an order: `draft` is the row without. A free one is paid and in work at once.
pub(super) fn placed(draft: orders::Model) -> Result<orders::Model, Refusal> {
    let now = draft.checkout_at;
    let mut order = draft;
    let state = rules::next_payment(None, PaymentEvent::Place, &facts(&order, now))?;
    (order.version, order.state, order.fulfil_state) = (1, state.into(), None);
    if order.total_fen == 0 {
        order.expire_at = 0;
        enter(&mut order, now)?;
    }
    Ok(order)
}

pub(super) fn facts(order: &orders::Model, now: i64) -> Facts {
    Facts { total_fen: order.total_fen, expire_at: order.expire_at, now }
}

/// Paid: a service order enters its work, a report order is fulfilled by that.
pub(super) fn enter(order: &mut orders::Model, now: i64) -> Result<(), Refusal> {
    order.paid_at = now;
    if order.kind == goods::SERVICE {
        let initial = FulfilState::try_from(order.initial_state).ok();
        order.fulfil_state = Some(rules::next_fulfil(None, FulfilEvent::Enter, initial)?.into());
    } else {
        order.fulfilled_at = now;
    }
    Ok(())
}
