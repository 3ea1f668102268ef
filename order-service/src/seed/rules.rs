use contracts::{
    identity::{Actor, ActorKind},
    order_state::FulfilState,
};

use crate::{
    entities::{customer, goods, orders},
    intake::http::{PlaceOrder, Who},
    lifecycle::{Deed, rules::FulfilEvent},
};

/// Most orders of one run.
pub const MAX_ORDERS: u64 = 100_000_000;
pub const MAX_CUSTOMERS: u64 = 1_000_000;
pub const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    pub orders: u64,
    /// Days the orders are spread over, the newest being now, or just before the oldest that stands there.
    pub days: u32,
    /// Customers they belong to; those that exist are used first.
    pub customers: u64,
    /// Goods they are for; empty = all that are on sale, or some that are made.
    pub goods: Vec<i64>,
    /// Partners whose goods are made when there are none; empty = the house's own.
    pub partners: Vec<i64>,
    /// The state of work that all are in; absent = a realistic spread.
    pub state: Option<FulfilState>,
    /// Tell the other services of each change.
    pub events: bool,
    /// Also into a database that holds orders, or that looks like production.
    pub yes: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            orders: 10_000,
            days: 30,
            customers: 1000,
            goods: Vec::new(),
            partners: Vec::new(),
            state: None,
            events: false,
            yes: false,
        }
    }
}

/// How an order's life goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    Unpaid,
    Cancelled,
    Expired,
    /// Paid, and in this state of work.
    Paid(FulfilState),
}

use FulfilState::{
    Done, InProgress, LoginFailed, NotStarted, PasswordChangeAsked, Queued, RefillAsked, RefundAsked,
    Refunded, RenewalAsked,
};
use Story::{Cancelled, Expired, Paid, Unpaid};

/// Of a thousand orders that had their time.
const OLD: &[(u64, Story)] = &[
    (850, Paid(Done)),
    (40, Paid(Refunded)),
    (70, Expired),
    (25, Cancelled),
    (6, Paid(RefillAsked)),
    (5, Paid(LoginFailed)),
    (4, Paid(RenewalAsked)),
];
/// Of a thousand of the newest.
const NEW: &[(u64, Story)] = &[
    (300, Paid(NotStarted)),
    (50, Paid(Queued)),
    (330, Paid(InProgress)),
    (180, Paid(Done)),
    (60, Unpaid),
    (20, Cancelled),
    (20, Paid(RefundAsked)),
    (15, Paid(RefillAsked)),
    (10, Paid(RenewalAsked)),
    (5, Paid(PasswordChangeAsked)),
    (10, Paid(LoginFailed)),
];
/// One in so many of all is among the newest.
const NEWEST: u64 = 33;

/// Number `i` of `n`, spread as by chance and the same in every run.
pub fn chance(i: u64, salt: u64) -> u64 {
    let mut z = i.wrapping_add(salt << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The story of order `i` of `n`, oldest first.
pub fn story(i: u64, n: u64, only: Option<FulfilState>) -> Story {
    if let Some(state) = only {
        return Paid(state);
    }
    let table = if i >= n - n / NEWEST { NEW } else { OLD };
    let mut at = chance(i, 1) % 1000;
    for (share, story) in table {
        if at < *share {
            return *story;
        }
        at -= share;
    }
    Paid(Done)
}

/// When order `i` of `n` was placed: evenly over the stretch, no two in one millisecond.
pub fn placed_at(i: u64, n: u64, from_ms: i64, to_ms: i64) -> i64 {
    let stretch = i128::from(to_ms - from_ms);
    from_ms + i64::try_from(stretch * i128::from(i) / i128::from(n)).unwrap_or(0)
}

/// Who appears in the stories.
pub struct Cast {
    pub shop: Actor,
    pub supplier: Actor,
    pub timeout: Actor,
}

impl Cast {
    pub fn new() -> Self {
        let supplier = Actor { kind: ActorKind::Supplier, id: 1, name: "测试供应商".into() };
        Self { shop: Actor::system("seed"), supplier, timeout: Actor::system("timeout") }
    }
}

/// What the shop asked for in order `i`, at this time.
pub fn wish(i: u64, at: i64, goods: &goods::Model, customer: &customer::Model) -> PlaceOrder {
    let size = 1 + i64::try_from(chance(i, 2) % 5).unwrap_or(0);
    let outer_id = if goods.partner_id > 0 { format!("seed-{at}") } else { String::new() };
    PlaceOrder {
        customer: Who::Known(customer.id),
        goods_id: goods.id,
        size,
        inputs: [
            format!("https://example.com/video/{}", chance(i, 3) % 1_000_000_007),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ],
        need_num: [Some(100 * size), None, None, None],
        payment_source: 1,
        payment_channel: 1 + i64::try_from(chance(i, 4) % 2).unwrap_or(0),
        distributor_id: 0,
        outer_id,
        expire_in: None,
        user_note: String::new(),
    }
}

/// The deeds that lead an order into its story, none of them later than `now`.
pub fn deeds<'a>(
    i: u64,
    story: Story,
    draft: &orders::Model,
    cast: &'a Cast,
    now: i64,
) -> Vec<(i64, Deed, &'a Actor)> {
    let after = |salt: u64, from: i64, most: i64| {
        (from + 1000 + i64::try_from(chance(i, salt) % most.unsigned_abs()).unwrap_or(0)).min(now)
    };
    let service = draft.kind == goods::SERVICE;
    let paid_at = after(5, draft.checkout_at, 20 * MINUTE_MS);
    let mut deeds = Vec::new();
    match story {
        _ if draft.total_fen == 0 => {}
        Unpaid => return deeds,
        Expired if draft.expire_at <= now => {
            deeds.push((draft.expire_at, Deed::Expire, &cast.timeout));
            return deeds;
        }
        Cancelled | Expired => {
            deeds.push((paid_at, Deed::Cancel, &cast.shop));
            return deeds;
        }
        Paid(_) => deeds.push((paid_at, Deed::Pay(format!("T{}", draft.number)), &cast.shop)),
    }
    let Paid(state) = story else { return deeds };
    if !service {
        return deeds;
    }
    let supplier = &cast.supplier;
    let claimed_at = after(6, paid_at, HOUR_MS);
    let done_at = after(7, claimed_at, 6 * HOUR_MS);
    let start = i64::try_from(chance(i, 8) % 100_000).unwrap_or(0);
    let claim = (claimed_at, Deed::Work(FulfilEvent::Claim, InProgress), supplier);
    let counted =
        |share: i64| (done_at, Deed::Count(start, start + draft.need_num_0 * share / 100), supplier);
    let worked = |event: FulfilEvent, to: FulfilState| (done_at, Deed::Work(event, to), supplier);
    match state {
        NotStarted | Queued => {}
        InProgress => deeds.extend([claim, counted(40)]),
        Done => deeds.extend([claim, counted(100), worked(FulfilEvent::Edit, Done)]),
        Refunded => deeds.extend([claim, worked(FulfilEvent::Refund, Refunded)]),
        RefundAsked => deeds.push((claimed_at, Deed::Work(FulfilEvent::AskRefund, RefundAsked), &cast.shop)),
        RefillAsked => {
            let ask = (done_at, Deed::Work(FulfilEvent::AskRefill, RefillAsked), &cast.shop);
            deeds.extend([claim, counted(100), worked(FulfilEvent::Edit, Done), ask]);
        }
        RenewalAsked => {
            deeds.extend([claim, (done_at, Deed::Work(FulfilEvent::AskRenewal, RenewalAsked), &cast.shop)]);
        }
        PasswordChangeAsked => {
            let ask = (done_at, Deed::Work(FulfilEvent::AskPassword, PasswordChangeAsked), &cast.shop);
            deeds.extend([claim, ask]);
        }
        LoginFailed => deeds.extend([claim, worked(FulfilEvent::Edit, LoginFailed)]),
    }
    deeds
}

/// When an unpaid order of the past ends: later than now, spread over some hours.
pub fn still_open_until(i: u64, now: i64) -> i64 {
    now + HOUR_MS + i64::try_from(chance(i, 9) % 14_400_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spreads_are_whole_and_the_newest_are_open() {
        for table in [OLD, NEW] {
            assert_eq!(table.iter().map(|(share, _)| share).sum::<u64>(), 1000);
        }
        let n = 100_000;
        let done = |from: u64, to: u64| (from..to).filter(|i| story(*i, n, None) == Paid(Done)).count();
        assert!(done(0, 10_000) > 8000, "{}", done(0, 10_000));
        assert!(done(n - 3000, n) < 800, "{}", done(n - 3000, n));
        assert_eq!(story(5, n, Some(NotStarted)), Paid(NotStarted));
    }

    #[test]
    fn no_two_orders_are_placed_in_one_millisecond() {
        let times: Vec<i64> = (0..1000).map(|i| placed_at(i, 1000, 5000, 6000)).collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]));
        assert_eq!((times[0], times[999]), (5000, 5999));
    }
}
