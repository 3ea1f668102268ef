//! Every sample of an event ever committed is read with today's types; a type without a sample fails.
//! Samples are never edited, only added: `<type>.v<version>.<n>.json`.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use contracts::{
    event::{Event, Payload},
    events::{
        self, AuditRecorded, CustomerBatchChanged, CustomerChanged, DistributorChanged, KeyChanged, KeyUsed,
        OrderStateChanged, PartnerChanged, PolicyChanged, ReadingUsed, ReportChanged, TokenRevoked,
        WhitelistBatchChanged, WhitelistChanged,
    },
};
use serde_json::Value;

fn samples() -> BTreeMap<String, Event> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let read = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name.clone(), serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}")))
    };
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// What today's type understands of a sample: every field of the sample that it kept must say the same.
fn understood<P: Payload>(event: &Event) -> Value {
    serde_json::to_value(event.read::<P>().unwrap_or_else(|e| panic!("{e}"))).unwrap()
}

fn understand(event: &Event) -> Value {
    match event.kind.as_str() {
        OrderStateChanged::TYPE => understood::<OrderStateChanged>(event),
        ReadingUsed::TYPE => understood::<ReadingUsed>(event),
        ReportChanged::TYPE => understood::<ReportChanged>(event),
        WhitelistChanged::TYPE => understood::<WhitelistChanged>(event),
        WhitelistBatchChanged::TYPE => understood::<WhitelistBatchChanged>(event),
        CustomerChanged::TYPE => understood::<CustomerChanged>(event),
        CustomerBatchChanged::TYPE => understood::<CustomerBatchChanged>(event),
        PartnerChanged::TYPE => understood::<PartnerChanged>(event),
        KeyChanged::TYPE => understood::<KeyChanged>(event),
        KeyUsed::TYPE => understood::<KeyUsed>(event),
        DistributorChanged::TYPE => understood::<DistributorChanged>(event),
        AuditRecorded::TYPE => understood::<AuditRecorded>(event),
        PolicyChanged::TYPE => understood::<PolicyChanged>(event),
        TokenRevoked::TYPE => understood::<TokenRevoked>(event),
        other => panic!("no reader for {other}"),
    }
}

/// Everything in `old` stands in `new` with the same value; `new` may say more.
fn assert_kept(name: &str, path: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let path = format!("{path}.{key}");
                assert_kept(
                    name,
                    &path,
                    value,
                    new.get(key).unwrap_or_else(|| panic!("{name}: {path} is not read")),
                );
            }
        }
        _ => assert_eq!(old, new, "{name}: {path} is read as something else"),
    }
}

#[test]
fn every_committed_sample_is_read_whole_by_todays_types() {
    for (name, event) in samples() {
        let sample: Value = serde_json::from_str(event.data.get()).unwrap();
        assert_kept(&name, "data", &sample, &understand(&event));
    }
}

#[test]
fn every_event_type_has_a_sample_of_its_present_version() {
    let samples = samples();
    for kind in events::ALL {
        let schema = format!("{}/{}", kind.name, kind.version);
        assert!(samples.values().any(|e| e.dataschema == schema), "no sample of {schema}");
    }
}

#[test]
fn another_type_or_a_newer_version_is_refused() {
    let mut event = samples().into_values().find(|e| e.kind == ReportChanged::TYPE).unwrap();
    assert!(event.read::<OrderStateChanged>().is_err());
    event.dataschema = "report.changed/2".into();
    assert!(event.read::<ReportChanged>().is_err());
    event.dataschema = "report.changed".into();
    assert!(event.read::<ReportChanged>().is_err());
}

#[test]
fn every_consumer_reads_durable_events_of_the_registry() {
    for consumer in events::CONSUMERS {
        for kind in consumer.types {
            let found =
                events::lookup(kind).unwrap_or_else(|| panic!("{}: {kind} is no event", consumer.name));
            assert_eq!(found.reach, events::Reach::Durable, "{}: {kind} is a broadcast", consumer.name);
        }
    }
}
