use contracts::{
    event::{Event, Payload},
    events::PartnerChanged,
};
use platform::{
    db::WriteTx,
    inbox::{Consumer, Handling},
};

use super::store;

/// The consumer `sync.partners`.
pub struct PartnerChanges;

impl Consumer for PartnerChanges {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            // Partners change by hand, a few a day: one statement each is no cost.
            for event in events.iter().filter(|e| e.kind == PartnerChanged::TYPE) {
                store::keep(tx, &event.read()?).await?;
            }
            Ok(())
        })
    }
}
