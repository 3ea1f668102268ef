#![no_main]
//! Bodies and queries: forms with nested names, JSON, and the typed reading of both.

use actix_web::{FromRequest, http::header::CONTENT_TYPE, test::TestRequest};
use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;
use platform::http::{
    ApiError, Body, Fields, FromFields, Merged,
    body::parse_object,
    form::{MAX_DEPTH, MAX_PAIRS, MAX_REPEATED, parse_form, repeated_values},
    values::{MAX_FEN, is_mobile},
};
use serde_json::Value;

/// A request with a field of every kind. What is read keeps to what the kind promises.
struct Probe;

impl FromFields for Probe {
    fn read(f: &mut Fields<'_>) -> Self {
        let title = f.optional_text("title", 10).unwrap_or_default();
        assert!(title.chars().count() <= 10 && !title.contains('\0') && title.trim() == title, "{title:?}");
        let size = f.optional_int("size", -5..=100).unwrap_or_default();
        assert!((-5..=100).contains(&size), "{size}");
        let price = f.optional_yuan("price").unwrap_or_default();
        assert!((0..=MAX_FEN).contains(&price), "{price}");
        let mobile = f.optional_mobile("mobile").unwrap_or_default();
        assert!(mobile.is_empty() || is_mobile(&mobile), "{mobile:?}");
        f.optional_bool("open");
        f.optional_date("day");
        let ids = f.optional_int_list("id", 3).unwrap_or_default();
        assert!(ids.len() <= 3 && ids.iter().all(|id| *id > 0), "{ids:?}");
        let words = f.optional_text_list("words", 3, 5).unwrap_or_default();
        assert!(words.len() <= 3 && words.iter().all(|word| word.chars().count() <= 5), "{words:?}");
        let list = f.optional_list("list", 3, |f| f.required_int("n", 1..=9)).unwrap_or_default();
        assert!(list.len() <= 3, "{list:?}");
        f.optional_object("file", |f| f.required_text("src", 20));
        Self
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Who sends nonsense is told so; it is never our fault.
fn is_400<T>(read: Result<T, ApiError>) {
    if let Err(e) = read {
        assert_eq!(e.http_status().as_u16(), 400, "{e:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    for media_type in ["application/json", "application/x-www-form-urlencoded"] {
        let request = TestRequest::default().insert_header((CONTENT_TYPE, media_type));
        let (request, mut payload) = request.set_payload(input.to_vec()).to_http_parts();
        is_400(
            Body::<Probe>::from_request(&request, &mut payload)
                .now_or_never()
                .expect("the whole body is there"),
        );
    }
    let (request, mut payload) = TestRequest::default().set_payload(input.to_vec()).to_http_parts();
    is_400(Merged::from_request(&request, &mut payload).now_or_never().expect("the whole body is there"));

    let text = String::from_utf8_lossy(input);
    let names = text.split('&').count();
    match parse_form(&text) {
        Ok(object) => {
            assert!(object.len() <= names.min(MAX_PAIRS), "{} names", object.len());
            assert!(object.values().map(depth).max().unwrap_or(0) <= MAX_DEPTH);
            // What a form holds can be written as JSON and be read again.
            let written = serde_json::to_vec(&object).expect("JSON");
            assert_eq!(parse_object(Some("application/json"), &written).expect("readable"), object);
        }
        refused => is_400(refused),
    }
    match repeated_values(&text, "id[]") {
        Ok(values) => assert!(values.len() <= names.min(MAX_REPEATED), "{} values", values.len()),
        refused => is_400(refused),
    }
});
