#![no_main]
//! The credential of a request, from the header to the account. The input is what stands in `Authorization`, or
//! the header and the claims of a token that is signed with the right key.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use fuzz::token::{Forged, NOW, SECRET, forged};
use gateway::fuzzing::Door;
use libfuzzer_sys::fuzz_target;
use platform::settings::{KeySettings, Settings};

/// The one token that was signed: HS256, `kid` k1, account 7.
const GOOD: &str = include_str!("../corpus/access_token/good");

fn settings() -> Settings {
    let keys = KeySettings { token: Some(format!("k1:{SECRET}").into()), ..KeySettings::default() };
    Settings { keys, ..Settings::default() }
}

thread_local! {
    static DOOR: Door = Door::new(&settings());
}

fn account(value: &[u8]) -> Option<i64> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
    DOOR.with(|door| door.account(&headers, NOW))
}

/// Whoever changes a single character is nobody.
fn only_the_good_one_opens(value: &[u8]) {
    let Some(account) = account(value) else { return };
    let text = String::from_utf8_lossy(value);
    let before = text.trim_ascii().strip_suffix(GOOD).map(str::trim_ascii_end);
    assert!(
        before.is_some_and(|before| before.is_empty() || before.eq_ignore_ascii_case("bearer")),
        "{text:?}"
    );
    assert_eq!(account, 7);
}

/// A signature alone opens nothing: algorithm, key, issuer and expiry are ours too.
fn only_what_we_would_sign_opens(forged: &Forged) {
    let (header, claims) = (&forged.header, &forged.claims);
    let Some(account) = account(forged.token.as_bytes()) else { return };
    assert_eq!((&header["alg"], &header["kid"]), (&"HS256".into(), &"k1".into()), "{header}");
    assert!(header["crit"].is_null(), "{header}");
    assert_eq!(claims["iss"], settings().issuer(), "{claims}");
    assert!(claims["exp"].as_i64().is_some_and(|exp| exp > NOW), "{claims}");
    assert_eq!(claims["aud"].as_i64().unwrap_or(0), account, "{claims}");
}

fuzz_target!(
    init: assert_eq!(account(GOOD.as_bytes()), Some(7), "the good one opens"),
    |input: &[u8]| {
        match forged(input) {
            Some(forged) => only_what_we_would_sign_opens(&forged),
            None => only_the_good_one_opens(input),
        }
    }
);
