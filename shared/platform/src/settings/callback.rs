use serde::Deserialize;

use super::ports;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackSettings {
    /// Ports a callback URL may name; empty = any.
    #[serde(deserialize_with = "ports::read")]
    pub ports: Vec<u16>,
    /// Deliveries under way at once in this process.
    pub concurrency: usize,
    /// Deliveries under way at once to one subscription.
    pub concurrency_per_subscription: usize,
    pub timeout_seconds: u64,
    pub connect_timeout_seconds: u64,
    /// Pauses before each further try, seconds, comma-separated.
    pub retry_schedule_seconds: String,
    /// Days for which a receiver's answer is kept whole; after that its first 256 characters. 0 = for ever.
    pub keep_answers_days: u32,
    /// Days for which deliveries that ended are kept, with their attempts; on PostgreSQL whole months, so that the
    /// last one is kept until all of it is that old and has ended. 0 = for ever.
    pub keep_deliveries_days: u32,
    /// Days for which the change feed goes back. 0 = for ever.
    pub keep_changes_days: u32,
}

impl CallbackSettings {
    /// A sync answers seven days, and a delivery needs its change.
    pub(super) fn validate(&self, problems: &mut Vec<String>) {
        let age = |days: u32| if days == 0 { u32::MAX } else { days };
        let (deliveries, changes) = (age(self.keep_deliveries_days), age(self.keep_changes_days));
        if deliveries < 8 || changes < deliveries || age(self.keep_answers_days) > deliveries {
            problems.push(
                "callback.keep_…_days: deliveries must be kept for 8 days or more, changes as long as deliveries or longer, answers no longer than deliveries (0 = for ever)".into(),
            );
        }
    }
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            concurrency: 256,
            concurrency_per_subscription: 32,
            timeout_seconds: 15,
            connect_timeout_seconds: 5,
            retry_schedule_seconds: "5,30,120,600,1800,3600,10800,21600,43200,86400".into(),
            keep_answers_days: 30,
            keep_deliveries_days: 180,
            keep_changes_days: 730,
        }
    }
}
