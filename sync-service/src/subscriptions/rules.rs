//! What a subscription may say, and which changes it wants.

use contracts::event::Payload;
use contracts::events::OrderStateChanged;

use crate::{changes::rules::OWN, delivery::intake::Wanted};

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
    /// Does this subscription get a delivery for a change of this partner, type and happening?
    pub fn wants(&self, partner_id: i64, source: i16, event: &str) -> bool {
        let source = if source == OWN { self.own_orders } else { self.distributor_orders };
        let named = |name: &String| name == event || name == OrderStateChanged::TYPE;
        self.partner_id == partner_id && source && (self.events.is_empty() || self.events.iter().any(named))
    }

    /// The delivery of a change.
    pub fn wanted(&self, change_seq: i64, order_id: i64, order_seq: i64) -> Wanted {
        Wanted {
            subscription_id: self.id,
            partner_id: self.partner_id,
            change_seq,
            order_id,
            order_seq,
            latest_wins: self.latest_wins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::rules::DISTRIBUTOR;

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
        assert!(own.wants(5, OWN, "pay"));
        assert!(!own.wants(5, DISTRIBUTOR, "pay"));
        assert!(!own.wants(6, OWN, "pay"));
        assert!(!own.wants(0, OWN, "pay"));
        let named = Matcher { events: vec!["pay".into()], ..own.clone() };
        assert!(named.wants(5, OWN, "pay") && !named.wants(5, OWN, "place"));
        let all = Matcher { events: vec!["order.state_changed".into()], ..own };
        assert!(all.wants(5, OWN, "place"));
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
