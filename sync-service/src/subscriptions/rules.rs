//! What a subscription may say, and which changes it wants.

use contracts::event::Payload;
use contracts::events::OrderStateChanged;

use crate::{
    changes::{rules::OWN, store::NewChange},
    delivery::intake::Wanted,
};

/// Subscriptions one partner may have.
pub const MAX_PER_PARTNER: u64 = 100;
pub const MAX_URL_CHARS: usize = 2048;
pub const MAX_RATE: i64 = 100_000;

/// How requests are worded and acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Standard,
    Gth,
}

impl Dialect {
    pub const WORDS: [&str; 2] = ["standard", "gth"];

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "standard" => Some(Self::Standard),
            "gth" => Some(Self::Gth),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Gth => "gth",
        }
    }
}

/// Whether deliveries are sent; they are collected in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    Active,
    /// By a person.
    Paused,
    /// By the system: the receiver said 410.
    Disabled,
}

impl SubscriptionStatus {
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "active" => Some(Self::Active),
            "paused" => Some(Self::Paused),
            "disabled" => Some(Self::Disabled),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

/// A name of a happening as a filter may hold it: `pay`, or the event type itself.
pub fn is_event_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
}

/// What the consumer needs to know of a subscription.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub id: i64,
    pub partner_id: i64,
    pub own_orders: bool,
    pub distributor_orders: bool,
    /// Empty = all.
    pub events: Vec<String>,
    pub latest_wins: bool,
}

impl Matcher {
    /// Does this subscription get a delivery for `change`?
    pub fn wants(&self, change: &NewChange) -> bool {
        let source = if change.source == OWN { self.own_orders } else { self.distributor_orders };
        let named = |name: &String| *name == change.event || name == OrderStateChanged::TYPE;
        self.partner_id == change.partner_id
            && source
            && (self.events.is_empty() || self.events.iter().any(named))
    }

    pub fn wanted(&self, change: &NewChange) -> Wanted {
        Wanted {
            subscription_id: self.id,
            partner_id: self.partner_id,
            change_seq: change.seq,
            order_id: change.order_id,
            order_seq: change.order_seq,
            latest_wins: self.latest_wins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::rules::DISTRIBUTOR;

    fn change(partner_id: i64, source: i16, event: &str) -> NewChange {
        NewChange {
            seq: 1,
            event_id: "evt_o1".into(),
            partner_id,
            source,
            order_id: 1,
            number: "1".into(),
            order_seq: 1,
            event: event.into(),
            checkout_at: 0,
            changed_at: 0,
            standard: String::new(),
            gth: String::new(),
        }
    }

    #[test]
    fn a_subscription_wants_its_partners_orders_of_its_types_and_events() {
        let own = Matcher {
            id: 1,
            partner_id: 5,
            own_orders: true,
            distributor_orders: false,
            events: Vec::new(),
            latest_wins: false,
        };
        assert!(own.wants(&change(5, OWN, "pay")));
        assert!(!own.wants(&change(5, DISTRIBUTOR, "pay")));
        assert!(!own.wants(&change(6, OWN, "pay")));
        assert!(!own.wants(&change(0, OWN, "pay")));
        let named = Matcher { events: vec!["pay".into()], ..own.clone() };
        assert!(named.wants(&change(5, OWN, "pay")) && !named.wants(&change(5, OWN, "place")));
        let all = Matcher { events: vec!["order.state_changed".into()], ..own };
        assert!(all.wants(&change(5, OWN, "place")));
    }

    #[test]
    fn words_read_back_and_names_are_plain() {
        for word in Dialect::WORDS {
            assert_eq!(Dialect::from_word(word).map(Dialect::word), Some(word));
        }
        for word in ["active", "paused", "disabled"] {
            assert_eq!(SubscriptionStatus::from_word(word).map(SubscriptionStatus::word), Some(word));
        }
        assert!(is_event_name("order.state_changed") && is_event_name("pay"));
        for bad in ["", "Pay", "a b", "支付", &"x".repeat(65)] {
            assert!(!is_event_name(bad), "{bad}");
        }
    }
}
