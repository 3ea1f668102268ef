//! Compares an answer with an example of the contract: every key of the example is there, in its place, with its type.

use serde_json::Value;

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "fraction",
        Value::Number(_) => "integer",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Fails with the first place where `answer` lacks what `example` has.
#[track_caller]
pub fn assert_like(example: &Value, answer: &Value) {
    if let Err(what) = compare("", example, answer) {
        panic!("{what}\nexample: {example}\nanswer: {answer}");
    }
}

fn compare(path: &str, example: &Value, answer: &Value) -> Result<(), String> {
    match (example, answer) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                let there = found.get(key).ok_or_else(|| format!("{path}.{key} is missing"))?;
                compare(&format!("{path}.{key}"), value, there)?;
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(found)) => match (wanted.first(), found.first()) {
            (Some(_), None) => Err(format!("{path} is empty, so nothing was compared")),
            (Some(wanted), Some(_)) => found
                .iter()
                .enumerate()
                .try_for_each(|(n, row)| compare(&format!("{path}[{n}]"), wanted, row)),
            (None, _) => Ok(()),
        },
        // Amounts in yuan are integers when whole.
        (Value::Number(_), Value::Number(n)) if example.is_f64() && !n.is_f64() => Ok(()),
        _ if kind(example) == kind(answer) => Ok(()),
        _ => Err(format!("{path} is a {} and not a {}", kind(answer), kind(example))),
    }
}

#[test]
fn a_missing_key_another_type_and_an_empty_list_are_seen() {
    use serde_json::json;
    let example = json!({"status": 0, "date": [{"id": 1, "total": "1", "amount": 0.01}]});
    assert_like(&example, &json!({"status": 0, "date": [{"id": 2, "total": "", "amount": 3, "more": true}]}));
    for bad in [
        json!({"status": 0, "data": [{"id": 2, "total": "", "amount": 3}]}),
        json!({"status": 0, "date": []}),
        json!({"status": 0, "date": [{"id": "2", "total": "", "amount": 3}]}),
        json!({"status": 0, "date": [{"id": 2, "total": 1, "amount": 3}]}),
        json!({"status": 0, "date": [{"id": 2, "total": "1", "amount": 3}, {"id": 2}]}),
        json!({"status": 0, "date": [{"id": 2, "total": null, "amount": 3}]}),
    ] {
        assert!(compare("", &example, &bad).is_err(), "{bad}");
    }
}
