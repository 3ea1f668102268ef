//! The state tables. Everything that depends on which move is allowed reads them: the check, the words of
//! a refusal, the diagram in `docs/states.md`, the exhaustive tests.

use std::fmt::{self, Write as _};

use contracts::order_state::{
    FulfilState::{self, *},
    PaymentState::{self, *},
};

/// What can happen to an order's payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentEvent {
    Place,
    Pay,
    Cancel,
    Expire,
    /// Money for an order that is cancelled: recorded, to be given back.
    LatePay,
}

/// What must hold besides the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Always,
    /// It costs nothing.
    Free,
    Priced,
    /// `expire_at` has not come.
    InTime,
    /// `expire_at` has come.
    Due,
}

/// What the guards look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub total_fen: i64,
    /// Unix milliseconds, 0 = never.
    pub expire_at: i64,
    pub now: i64,
}

/// One line of the payment table; `from` absent = the order does not exist yet.
#[derive(Debug, Clone, Copy)]
pub struct PaymentMove {
    pub from: Option<PaymentState>,
    pub event: PaymentEvent,
    pub guard: Guard,
    pub to: PaymentState,
}

const fn payment(
    from: Option<PaymentState>,
    event: PaymentEvent,
    guard: Guard,
    to: PaymentState,
) -> PaymentMove {
    PaymentMove { from, event, guard, to }
}

pub const PAYMENT: &[PaymentMove] = &[
    payment(None, PaymentEvent::Place, Guard::Priced, Unpaid),
    payment(None, PaymentEvent::Place, Guard::Free, Completed),
    payment(Some(Unpaid), PaymentEvent::Pay, Guard::InTime, Completed),
    payment(Some(Unpaid), PaymentEvent::Cancel, Guard::Always, Cancelled),
    payment(Some(Unpaid), PaymentEvent::Expire, Guard::Due, Cancelled),
    payment(Some(Cancelled), PaymentEvent::LatePay, Guard::Always, Cancelled),
];

/// What can happen to the work on a service order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FulfilEvent {
    /// Paid: the work may begin.
    Enter,
    /// The start value became known.
    Start,
    /// Handed out to a supplier.
    Claim,
    /// The supplier, or an operator, says so.
    Edit,
    Refund,
    /// The buyer's wishes.
    AskRefund,
    AskRefill,
    AskRenewal,
    AskPassword,
    /// A hand-out was given back, or its lease ran out.
    Release,
}

/// One line of the fulfilment table; `from` absent = not entered yet.
#[derive(Debug, Clone, Copy)]
pub struct FulfilMove {
    pub from: Option<FulfilState>,
    pub to: FulfilState,
    pub by: &'static [FulfilEvent],
}

const fn work(from: FulfilState, to: FulfilState, by: &'static [FulfilEvent]) -> FulfilMove {
    FulfilMove { from: Some(from), to, by }
}

use FulfilEvent::{
    AskPassword, AskRefill, AskRefund, AskRenewal, Claim, Edit, Enter, Refund, Release, Start,
};

pub const FULFILMENT: &[FulfilMove] = &[
    FulfilMove { from: None, to: Queued, by: &[Enter] },
    FulfilMove { from: None, to: NotStarted, by: &[Enter] },
    work(Queued, NotStarted, &[Start, Edit]),
    work(Queued, InProgress, &[Claim, Edit]),
    work(Queued, Refunded, &[Refund]),
    work(Queued, RefundAsked, &[AskRefund, Edit]),
    work(NotStarted, InProgress, &[Claim, Edit]),
    work(NotStarted, Refunded, &[Refund]),
    work(NotStarted, RefundAsked, &[AskRefund, Edit]),
    work(InProgress, Queued, &[Release]),
    work(InProgress, NotStarted, &[Edit, Release]),
    work(InProgress, Done, &[Edit]),
    work(InProgress, Refunded, &[Refund]),
    work(InProgress, RefundAsked, &[AskRefund, Edit]),
    work(InProgress, RenewalAsked, &[AskRenewal, Edit]),
    work(InProgress, PasswordChangeAsked, &[AskPassword, Edit]),
    work(InProgress, LoginFailed, &[Edit]),
    work(Done, RenewalAsked, &[AskRenewal, Edit]),
    work(Done, RefillAsked, &[AskRefill, Edit]),
    work(RefundAsked, Refunded, &[Refund]),
    work(RenewalAsked, InProgress, &[Edit]),
    work(RenewalAsked, Done, &[Edit]),
    work(RefillAsked, InProgress, &[Edit]),
    work(RefillAsked, Done, &[Edit]),
    work(PasswordChangeAsked, InProgress, &[Edit]),
    work(PasswordChangeAsked, LoginFailed, &[Edit]),
    work(LoginFailed, InProgress, &[Edit]),
    work(LoginFailed, Refunded, &[Refund]),
    work(LoginFailed, PasswordChangeAsked, &[AskPassword, Edit]),
];

impl PaymentEvent {
    pub const ALL: [Self; 5] = [Self::Place, Self::Pay, Self::Cancel, Self::Expire, Self::LatePay];

    /// The name in histories and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::LatePay => "late_pay",
        }
    }
}

impl FulfilEvent {
    pub const ALL: [Self; 10] =
        [Enter, Start, Claim, Edit, Refund, AskRefund, AskRefill, AskRenewal, AskPassword, Release];

    /// The name in histories and events.
    pub fn name(self) -> &'static str {
        match self {
            Enter => "enter",
            Start => "start",
            Claim => "claim",
            Edit => "edit",
            Refund => "refund",
            AskRefund => "ask_refund",
            AskRefill => "ask_refill",
            AskRenewal => "ask_renewal",
            AskPassword => "ask_password",
            Release => "release",
        }
    }
}

impl Guard {
    fn holds(self, facts: &Facts) -> bool {
        let due = facts.expire_at > 0 && facts.now >= facts.expire_at;
        match self {
            Self::Always => true,
            Self::Free => facts.total_fen == 0,
            Self::Priced => facts.total_fen > 0,
            Self::InTime => !due,
            Self::Due => due,
        }
    }
}

/// The state after `event`, or why not.
pub fn next_payment(
    from: Option<PaymentState>,
    event: PaymentEvent,
    facts: &Facts,
) -> Result<PaymentState, Refusal> {
    PAYMENT
        .iter()
        .find(|m| m.from == from && m.event == event && m.guard.holds(facts))
        .map(|m| m.to)
        .ok_or(Refusal { wish: event.name(), wanted: None, present: Present::Payment(from) })
}

/// The state after `event`; `wanted` names the target where the event leaves a choice.
pub fn next_fulfil(
    from: Option<FulfilState>,
    event: FulfilEvent,
    wanted: Option<FulfilState>,
) -> Result<FulfilState, Refusal> {
    FULFILMENT
        .iter()
        .find(|m| m.from == from && m.by.contains(&event) && wanted.is_none_or(|w| w == m.to))
        .map(|m| m.to)
        .ok_or(Refusal { wish: event.name(), wanted, present: Present::Fulfilment(from) })
}

/// The payment states that can come after `from` by somebody's doing.
fn payment_next(from: Option<PaymentState>) -> Vec<PaymentState> {
    let mut next: Vec<PaymentState> =
        PAYMENT.iter().filter(|m| m.from == from && Some(m.to) != from).map(|m| m.to).collect();
    next.dedup();
    next
}

/// The fulfilment states a supplier or buyer can bring about from `from`.
pub fn fulfil_next(from: Option<FulfilState>) -> Vec<FulfilState> {
    let by_hand = |m: &&FulfilMove| m.by.iter().any(|e| !matches!(e, Enter | Release));
    FULFILMENT.iter().filter(|m| m.from == from).filter(by_hand).map(|m| m.to).collect()
}

/// What a refund gives back: the undelivered share of what was paid, rounded down to the fen; everything when
/// nobody says how much was delivered, or when nothing countable was ordered.
pub fn refund_fen(paid_fen: i64, need: i64, start: i64, now: Option<i64>) -> i64 {
    let (Some(now), true) = (now, need > 0) else { return paid_fen };
    let delivered = i128::from(now) - i128::from(start);
    let missing = (i128::from(need) - delivered).clamp(0, i128::from(need));
    i64::try_from(i128::from(paid_fen) * missing / i128::from(need)).unwrap_or(paid_fen)
}

/// Where the order stands that would not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    Payment(Option<PaymentState>),
    Fulfilment(Option<FulfilState>),
}

/// A move the table does not have: says where the order stands and where it could go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub wish: &'static str,
    pub wanted: Option<FulfilState>,
    pub present: Present,
}

impl Refusal {
    /// The present state as the wire names it: a payment number or a fulfilment code, "" before there is one.
    pub fn state(&self) -> String {
        match self.present {
            Present::Payment(state) => state.map(|s| i16::from(s).to_string()).unwrap_or_default(),
            Present::Fulfilment(state) => state.map(FulfilState::code).unwrap_or_default().to_owned(),
        }
    }

    /// The allowed next states, named likewise.
    pub fn allowed(&self) -> Vec<String> {
        match self.present {
            Present::Payment(state) => {
                payment_next(state).into_iter().map(|s| i16::from(s).to_string()).collect()
            }
            Present::Fulfilment(state) => {
                fulfil_next(state).into_iter().map(|s| s.code().to_owned()).collect()
            }
        }
    }

    fn titles(&self) -> (&'static str, &'static str) {
        match self.present {
            Present::Payment(state) => state.map_or(("未下单", "not placed"), PaymentState::title),
            Present::Fulfilment(state) => state.map_or(("未进入处理", "not in work"), FulfilState::title),
        }
    }

    /// One sentence in Chinese and in English.
    pub fn sentences(&self) -> (String, String) {
        let (title_zh, title_en) = self.titles();
        let (state, allowed) = (self.state(), self.allowed());
        let wish = self.wanted.map_or(self.wish, FulfilState::code);
        let (zh, en) = if allowed.is_empty() {
            ("无".to_owned(), "none".to_owned())
        } else {
            (allowed.join("、"), allowed.join(", "))
        };
        (
            format!("订单当前状态为 {state}（{title_zh}），不能执行 {wish}；允许的下一状态：{zh}"),
            format!("the order is {state} ({title_en}); {wish} is not possible; allowed next: {en}"),
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().1)
    }
}

/// Both tables as Mermaid state diagrams; `docs/states.md` is this text.
pub fn diagram() -> String {
    let mut text = String::from(
        "# States of an order\n\nGenerated from `order-service/src/lifecycle/rules.rs`; a test compares.\n\n## Payment\n\n```mermaid\nstateDiagram-v2\n",
    );
    for m in PAYMENT {
        let from = m.from.map_or("[*]", |s| s.title().1);
        let _ = writeln!(text, "    {from} --> {}: {}", m.to.title().1, m.event.name());
    }
    text.push_str("```\n\n## Fulfilment\n\n```mermaid\nstateDiagram-v2\n");
    for m in FULFILMENT {
        let from = m.from.map_or("[*]", FulfilState::code);
        let events: Vec<&str> = m.by.iter().map(|e| e.name()).collect();
        let _ = writeln!(text, "    {from} --> {}: {}", m.to.code(), events.join(", "));
    }
    text.push_str("```\n");
    text
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
