use std::collections::BTreeMap;

use contracts::{
    event::{Event, Payload},
    events::KeyUsed,
};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use super::store;

/// Notes when keys were used last.
pub struct KeyUsage;

impl Consumer for KeyUsage {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            let mut latest: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
            for event in events {
                if event.kind != KeyUsed::TYPE {
                    return Err(HandleError::Rejected(format!("{} is not expected here", event.kind)));
                }
                let used: KeyUsed = event.read()?;
                let (at, md5_at) = latest.entry(used.key_id).or_default();
                *at = used.at.max(*at);
                if used.sign == "md5" {
                    *md5_at = used.at.max(*md5_at);
                }
            }
            let uses: Vec<(i64, i64, i64)> =
                latest.into_iter().map(|(id, (at, md5))| (id, at, md5)).collect();
            Ok(store::note_used(tx, &uses).await?)
        })
    }
}
