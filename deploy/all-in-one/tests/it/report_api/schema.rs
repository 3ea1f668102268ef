//! The keys and types of every answer, as the code describes them, against the list in git.

use std::fmt::Write as _;

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
