use contracts::{event::Event, events::AuditRecorded};
use platform::{
    db::WriteTx,
    ids::Ids,
    inbox::{Consumer, Handling},
};

use super::{rules, store};

/// Keeps the changes that other services tell.
pub struct Entries(pub Ids);

impl Consumer for Entries {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            let mut rows = Vec::with_capacity(events.len());
            for event in events {
                rows.push(rules::told(self.0.next(), event.read::<AuditRecorded>()?));
            }
            Ok(store::insert(tx, &rows).await?)
        })
    }
}
