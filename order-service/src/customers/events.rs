//! A white-list entry makes its mobile a customer, and is a subscription of that customer.

use std::collections::BTreeMap;

use contracts::{
    event::{Event, Payload},
    events::{WhitelistBatchChanged, WhitelistChanged},
};
use platform::{
    Platform,
    db::WriteTx,
    http::values,
    inbox::{Consumer, HandleError, Handling},
};

use super::{
    service::{self, MAX_MOBILE_CHARS, MAX_NAME_CHARS},
    store::{self, Grant, Person},
};

/// Entries of one statement.
const CHUNK: usize = 1000;

/// `order.white_list`.
pub struct WhiteList {
    pub platform: Platform,
}

impl Consumer for WhiteList {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            // One statement cannot touch a row twice: of several versions the newest counts.
            let mut newest: BTreeMap<i64, WhitelistChanged> = BTreeMap::new();
            for event in events {
                for entry in entries(event)? {
                    let stands = newest.get(&entry.id).is_some_and(|e| e.version >= entry.version);
                    if !stands {
                        newest.insert(entry.id, entry);
                    }
                }
            }
            let entries: Vec<WhitelistChanged> = newest.into_values().collect();
            for chunk in entries.chunks(CHUNK) {
                self.keep(tx, chunk).await?;
            }
            Ok(())
        })
    }
}

fn entries(event: &Event) -> Result<Vec<WhitelistChanged>, HandleError> {
    if event.kind == WhitelistBatchChanged::TYPE {
        return Ok(event.read::<WhitelistBatchChanged>()?.entries);
    }
    Ok(vec![event.read()?])
}

impl WhiteList {
    async fn keep(&self, tx: &WriteTx, entries: &[WhitelistChanged]) -> Result<(), HandleError> {
        let mobiles: Vec<String> = entries.iter().map(|e| values::normal_mobile(&e.mobile)).collect();
        let mut persons: BTreeMap<&str, (String, i64)> = BTreeMap::new();
        for (entry, mobile) in entries.iter().zip(&mobiles).filter(|(e, _)| !e.deleted) {
            if mobile.is_empty() || mobile.chars().count() > MAX_MOBILE_CHARS {
                continue;
            }
            let name = || entry.given_user.chars().take(MAX_NAME_CHARS).collect();
            let (known, since) = persons.entry(mobile).or_insert_with(|| (name(), entry.created_at));
            if known.is_empty() {
                *known = name();
            }
            *since = entry.created_at.min(*since);
        }
        let ids = self.platform.ids.batch(persons.len());
        let persons: Vec<Person<'_>> = persons
            .iter()
            .zip(ids)
            .map(|((mobile, (name, at)), id)| Person { id, mobile, nick_name: name, regist_at: *at })
            .collect();
        let made = store::make_many(tx, &persons, self.platform.clock.now_ms()).await?;
        let grants: Vec<Grant<'_>> = entries
            .iter()
            .zip(&mobiles)
            .map(|(e, mobile)| Grant {
                entry_id: e.id,
                version: e.version,
                report_id: e.report_id,
                mobile,
                open: e.state == 0 && !e.deleted,
                granted_at: e.created_at,
            })
            .collect();
        store::keep_grants(tx, &grants).await?;
        service::announce(&self.platform, tx, &made).await?;
        Ok(())
    }
}
