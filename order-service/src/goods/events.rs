use std::collections::BTreeMap;

use contracts::{event::Event, events::ReportChanged};
use platform::{
    clock::Clock,
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use super::store;

/// `order.reports`: keeps one goods per report in step with it.
pub struct Reports {
    pub clock: Clock,
}

impl Consumer for Reports {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            // One statement cannot touch a row twice: of several versions the newest counts.
            let mut newest: BTreeMap<i64, ReportChanged> = BTreeMap::new();
            for event in events {
                let report: ReportChanged = event.read()?;
                let stands = newest.get(&report.id).is_some_and(|r| r.version >= report.version);
                if !stands {
                    newest.insert(report.id, report);
                }
            }
            let rows: Vec<_> = newest
                .values()
                .map(|r| {
                    (r.id, r.version, &r.title, &r.cover, r.price_fen, r.read_count, r.status, r.deleted)
                })
                .collect();
            let rows = serde_json::to_string(&rows).map_err(|e| HandleError::Rejected(e.to_string()))?;
            store::follow_reports(tx, &rows, self.clock.now_ms()).await?;
            Ok(())
        })
    }
}
