use std::collections::BTreeMap;

use contracts::{event::Event, events::ReadingUsed};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use crate::lifecycle::Lifecycle;

/// `order.readings`: follows the readings that orders paid for. Those of the white list are none of ours.
pub struct Readings {
    pub lifecycle: Lifecycle,
}

impl Consumer for Readings {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            // What is left only falls: of several readings of an order the lowest figure counts.
            let mut left: BTreeMap<String, i64> = BTreeMap::new();
            for event in events {
                let used: ReadingUsed = event.read()?;
                if let Some(number) = used.right.strip_prefix("order:") {
                    let lowest = left.entry(number.to_owned()).or_insert(used.left);
                    *lowest = used.left.min(*lowest);
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            let rows: Vec<(&String, &i64)> = left.iter().collect();
            let rows = serde_json::to_string(&rows).map_err(|e| HandleError::Rejected(e.to_string()))?;
            self.lifecycle.readings_left(tx, &rows).await?;
            Ok(())
        })
    }
}
