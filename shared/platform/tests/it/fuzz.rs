//! Bodies, queries and internal tokens as nobody should send them.

use contracts::identity::{Caller, InternalClaims};
use platform::http::{
    body::parse_object,
    caller::InternalKey,
    form::{MAX_DEPTH, parse_form, repeated_values},
};
use serde_json::Value;
use testing::Fuzz;

fn examples(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn damaged_forms_and_json_are_read_or_refused() {
    let fuzz = Fuzz {
        folder: concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/body"),
        examples: examples(&[
            "a=1&b=2&c=%E4%B8%AD+x&d",
            "white_list[0][mobile]=13800000000&white_list[0][read_count]=2&white_list[1][mobile]=1",
            "id[]=1&id[]=2&file[src]=a&file[size]=9&x[7]=1&x[2]=0&x[]=9",
            "{\"a\": {\"b\": [1, 2.5, \"c\", null, true]}, \"n\": 9007199254740993}",
            "\u{feff}{\"key\": \"\\ud83d\\ude00 \\u0000\"}",
        ]),
        words: &[
            b"[", b"]", b"[]", b"=", b"&", b"%00", b"%ff", b"%C3%28", b"[0]", b"+", b"{", b"}", b"\\u0000",
            b"\"", b",",
        ],
        cases: 6_000,
    };
    fuzz.run(|input| {
        for media_type in ["application/json", "application/x-www-form-urlencoded"] {
            if let Err(e) = parse_object(Some(media_type), input) {
                assert_eq!(e.http_status().as_u16(), 400, "{e:?}");
            }
        }
        let text = String::from_utf8_lossy(input);
        if let Ok(object) = parse_form(&text) {
            assert!(object.values().map(depth).max().unwrap_or(0) <= MAX_DEPTH);
            // What a form holds can be written as JSON and be read again.
            let written = serde_json::to_vec(&object).unwrap();
            assert_eq!(parse_object(Some("application/json"), &written).unwrap(), object);
        }
        drop(repeated_values(&text, "id[]"));
    });
}

/// Whoever changes a single character of an internal token is nobody.
#[test]
fn a_damaged_internal_token_never_holds() {
    let key = InternalKey::new(&"an internal secret of more than 32 characters".into());
    let claims = InternalClaims {
        caller: Caller::anonymous(),
        method: "GET".into(),
        path: "/api/report".into(),
        rid: "r-1".into(),
        ip: "127.0.0.1".into(),
        exp: 100,
    };
    let token = key.sign(&claims).unwrap();
    assert!(key.verify(&token, "GET", "/api/report", 100).is_some());
    let fuzz = Fuzz {
        folder: concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/internal-token"),
        examples: examples(&[&token, "eyJhbGciOiJub25lIn0.e30.", "a.b.c"]),
        words: &[b".", b"=", b"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", b"e30", b"_", b"-"],
        cases: 3_000,
    };
    fuzz.run(|input| {
        let text = String::from_utf8_lossy(input);
        let holds = key.verify(&text, "GET", "/api/report", 100).is_some();
        assert_eq!(holds, text == token, "{text}");
    });
}
