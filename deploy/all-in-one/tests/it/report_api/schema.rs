//! The keys and types of every answer, as the code describes them, against the list in git.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::ENDPOINTS;
use crate::api::document;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/report_api/schema.txt");

/// One line a key: its place and its type.
fn flatten(document: &Value, place: &str, schema: &Value, lines: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).expect(reference);
        return flatten(document, place, schema, lines);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        flatten(document, place, part, lines);
    }
    if let Some(fields) = schema["properties"].as_object() {
        for (name, field) in fields {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            flatten(document, &place, field, lines);
        }
    } else if schema["items"].is_object() {
        flatten(document, &format!("{place}[]"), &schema["items"], lines);
    } else if schema["allOf"].is_null() {
        let kind = match &schema["type"] {
            Value::String(kind) => kind.clone(),
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
            _ => "anything".into(),
        };
        lines.push(format!("{place}: {kind}"));
    }
}

fn described(document: &Value) -> String {
    let mut text = String::new();
    for (name, method, path) in ENDPOINTS {
        let operation = &document["paths"][path][method.to_lowercase()];
        if operation.is_null() {
            continue;
        }
        assert_eq!(operation["operationId"], name);
        let content = &operation["responses"]["200"]["content"];
        let (media, body) = content
            .as_object()
            .and_then(|c| c.iter().next())
            .unwrap_or_else(|| panic!("{name} answers nothing"));
        let mut lines = Vec::new();
        flatten(document, "", &body["schema"], &mut lines);
        lines.sort();
        let _ = writeln!(text, "{name} {method} {path} → {media}");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

#[test]
fn the_keys_and_types_of_every_answer_are_those_in_git() {
    let now = described(&document());
    let committed = std::fs::read_to_string(LIST).unwrap_or_default();
    if now != committed {
        let seen = format!("{LIST}.new");
        std::fs::write(&seen, &now).unwrap();
        let gone: Vec<_> = committed.lines().filter(|l| !now.contains(l)).collect();
        let new: Vec<_> = now.lines().filter(|l| !committed.contains(l)).collect();
        panic!("gone: {gone:#?}\nnew: {new:#?}\nIf the contract still holds, replace {LIST} by {seen}");
    }
}

/// What the list in git says of the answer of `name`: place → type.
fn listed(name: &str) -> BTreeMap<String, String> {
    let list = std::fs::read_to_string(LIST).unwrap();
    let lines = list.lines().skip_while(|line| line.split(' ').next() != Some(name)).skip(1);
    let lines = lines.map_while(|line| line.strip_prefix("    ")?.split_once(": "));
    lines.map(|(place, kind)| (place.to_owned(), kind.to_owned())).collect()
}

/// The scalars of an answer and where they stand; a list without rows stands for itself.
fn leaves<'v>(place: &str, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                leaves(&place, field, found);
            }
        }
        Value::Array(rows) if !rows.is_empty() => {
            rows.iter().for_each(|row| leaves(&format!("{place}[]"), row, found));
        }
        _ => found.push((place.to_owned(), value)),
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "anything" => value.is_string() || value.is_number(),
        _ => false,
    }
}

/// Fails unless the answer has each key that the list in git gives the endpoint, with its type, and no other.
#[track_caller]
pub fn assert_described(name: &str, answer: &Value) {
    let mut unseen = listed(name);
    assert!(!unseen.is_empty(), "{name} is not in {LIST}");
    let described = unseen.clone();
    let mut found = Vec::new();
    leaves("", answer, &mut found);
    for (place, value) in found {
        let kind =
            described.get(&place).unwrap_or_else(|| panic!("{name}: {place} is not described: {answer}"));
        assert!(is_a(kind, value), "{name}: {place} is no {kind}: {value}");
        unseen.remove(&place);
    }
    assert!(unseen.is_empty(), "{name} lacks {:?}: {answer}", unseen.keys());
}

#[test]
fn an_answer_that_differs_from_the_list_is_seen() {
    use serde_json::json;
    let good = json!({"status": 0, "date": {"id": 1}});
    assert_described("PAYMENT_REPORT_ADD", &good);
    for bad in [
        json!({"status": 0}),
        json!({"status": 0, "data": {"id": 1}}),
        json!({"status": 0, "date": {"id": "1"}}),
        json!({"status": 0, "date": {"id": null}}),
        json!({"status": 0, "date": [{"id": 1}]}),
        json!({"status": 0, "date": {"id": 1, "more": 1}}),
    ] {
        let seen = std::panic::catch_unwind(|| assert_described("PAYMENT_REPORT_ADD", &bad));
        assert!(seen.is_err(), "{bad}");
    }
}
