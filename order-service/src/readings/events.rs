use std::collections::BTreeMap;

use contracts::{event::Event, events::ReadingUsed};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};
use serde::Serialize;

use crate::{customers, lifecycle::Lifecycle};

/// `order.readings`: follows the readings that orders paid for, and who read when. The counters of the white list
/// are none of ours.
pub struct Readings {
    pub lifecycle: Lifecycle,
}

impl Consumer for Readings {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            // What is left only falls: of several readings of an order the lowest figure counts.
            let mut left: BTreeMap<String, i64> = BTreeMap::new();
            let mut read_at: BTreeMap<i64, i64> = BTreeMap::new();
            for event in events {
                let used: ReadingUsed = event.read()?;
                let latest = read_at.entry(used.customer_id).or_default();
                *latest = used.used_at.max(*latest);
                if let Some(number) = used.right.strip_prefix("order:") {
                    let lowest = left.entry(number.to_owned()).or_insert(used.left);
                    *lowest = used.left.min(*lowest);
                }
            }
            customers::note_reviews(tx, &json(&read_at)?).await?;
            if !left.is_empty() {
                self.lifecycle.readings_left(tx, &left).await?;
            }
            Ok(())
        })
    }
}

/// A JSON list of pairs.
fn json<K: Serialize, V: Serialize>(rows: &BTreeMap<K, V>) -> Result<String, HandleError> {
    let rows: Vec<(&K, &V)> = rows.iter().collect();
    serde_json::to_string(&rows).map_err(|e| HandleError::Rejected(e.to_string()))
}
