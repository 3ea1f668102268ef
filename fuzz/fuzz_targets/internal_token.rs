#![no_main]
//! The gateway's internal token, which services trust. The input is a token, or the header and the claims of one that
//! is signed with the right key.

use std::sync::LazyLock;

use contracts::identity::InternalClaims;
use fuzz::token::{Forged, NOW, SECRET, forged};
use libfuzzer_sys::fuzz_target;
use platform::http::caller::InternalKey;

/// The one token that was signed: for `GET /api/report`, account 7.
const GOOD: &str = include_str!("../corpus/internal_token/good");
const REQUEST: (&str, &str) = ("GET", "/api/report");

static KEY: LazyLock<InternalKey> = LazyLock::new(|| InternalKey::new(&SECRET.into()));

fn caller(token: &str) -> Option<InternalClaims> {
    KEY.verify(token, REQUEST.0, REQUEST.1, NOW)
}

/// A signature alone holds for nothing but its own request, and not for ever.
fn only_this_request_holds(forged: &Forged) {
    let Some(claims) = caller(&forged.token) else { return };
    assert_eq!(forged.header["alg"], "HS256", "{}", forged.header);
    assert_eq!((&*claims.method, &*claims.path), REQUEST);
    assert!(claims.exp >= NOW, "{}", claims.exp);
    assert_eq!(forged.claims["account_id"].as_i64(), Some(claims.caller.account_id), "{}", forged.claims);
    // What was read can be signed and be read again.
    let again = caller(&KEY.sign(&claims).expect("signed")).expect("holds");
    assert_eq!((again.caller, again.rid, again.ip), (claims.caller, claims.rid, claims.ip));
}

fuzz_target!(
    init: assert!(caller(GOOD).is_some(), "the good one holds"),
    |input: &[u8]| {
        match forged(input) {
            Some(forged) => only_this_request_holds(&forged),
            None => {
                let text = String::from_utf8_lossy(input);
                assert_eq!(caller(&text).is_some(), text == GOOD, "{text}");
            }
        }
    }
);
