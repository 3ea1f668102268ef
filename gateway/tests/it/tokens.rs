//! `spec/report-admin-api.md`, "Token": alg, kid, signature, issuer, expiry and revocation decide.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{
    Bed, ISSUER, KEY, Mode, NOW_S, OLD_KEY, answer, claims, sign, sign_with, statuses, token,
};

const ROUTE: &str = "/api/report";

async fn with(bed: &Bed, token: &str) -> (u16, i64) {
    statuses(bed.get(ROUTE).header("authorization", format!("Bearer {token}"))).await
}

/// base64url without padding, for tokens no library would make.
fn segment(value: &Value) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bytes = value.to_string().into_bytes();
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(word >> (18 - 6 * i) & 63) as usize]));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_token_opens_and_says_who_is_calling() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for header in [format!("Bearer {}", token(1)), format!("bearer {}", token(1)), token(1)] {
            let (status, body) = answer(bed.get(ROUTE).header("authorization", header)).await;
            assert_eq!(status, 200, "{mode:?} {body}");
            let caller = &body["identity"]["caller"];
            assert_eq!(
                (&caller["kind"], &caller["account_id"], &caller["nickname"], &caller["jti"]),
                (&json!("account"), &json!(1), &json!("昵称1"), &json!("jti-1")),
                "{mode:?}"
            );
            assert_eq!(body["identity"]["ip"], "127.0.0.1");
        }
        // The key that is being rotated out still opens.
        assert_eq!(with(&bed, &sign_with(&claims(1), Some("old"), OLD_KEY)).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_not_ours_do_not_open() {
    let good = claims(1);
    let change = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let real = sign(&good);
    let parts: Vec<&str> = real.split('.').collect();
    let other = sign(&claims(2));
    let other: Vec<&str> = other.split('.').collect();
    let with_alg = |alg: &str| segment(&json!({"typ": "JWT", "alg": alg, "kid": "new"}));
    let hs = |alg| {
        let mut header = Header::new(alg);
        header.kid = Some("new".into());
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
    };
    let critical = {
        let mut header = Header::new(Algorithm::HS256);
        (header.kid, header.crit) = (Some("new".into()), Some(vec!["exp".into()]));
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
    };
    let cases = [
        ("alg none, no signature", format!("{}.{}.", with_alg("none"), parts[1])),
        ("alg None", format!("{}.{}.", with_alg("None"), parts[1])),
        ("alg none with a signature", format!("{}.{}.{}", with_alg("none"), parts[1], parts[2])),
        ("RS256 named, HS256 signed", format!("{}.{}.{}", with_alg("RS256"), parts[1], parts[2])),
        ("ES256 named", format!("{}.{}.{}", with_alg("ES256"), parts[1], parts[2])),
        ("HS384 with our key", hs(Algorithm::HS384)),
        ("HS512 with our key", hs(Algorithm::HS512)),
        ("an extension that must be understood", critical),
        ("unknown kid", sign_with(&good, Some("newer"), KEY)),
        ("no kid", sign_with(&good, None, KEY)),
        ("another key's kid", sign_with(&good, Some("old"), KEY)),
        ("another secret", sign_with(&good, Some("new"), OLD_KEY)),
        ("claims of another account", format!("{}.{}.{}", parts[0], other[1], parts[2])),
        ("signature cut", real[..real.len() - 1].to_owned()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{real}.x")),
        ("not a token", "nonsense".into()),
        ("another issuer", sign(&change("iss", json!("acp-api-production")))),
        ("our issuer among others", sign(&change("iss", json!([ISSUER, "x"])))),
        ("no issuer", sign(&without("iss"))),
        ("expired", sign(&change("exp", json!(NOW_S - 1)))),
        ("expires this second", sign(&change("exp", json!(NOW_S)))),
        ("no expiry", sign(&without("exp"))),
        ("expiry as text", sign(&change("exp", json!((NOW_S + 100).to_string())))),
        ("no account", sign(&without("aud"))),
        ("account as text", sign(&change("aud", json!("1")))),
        ("account that is none", sign(&change("aud", json!(99)))),
        ("account that is disabled", sign(&claims(3))),
        ("very long", "a".repeat(9000)),
    ];
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for (what, token) in &cases {
            assert_eq!(with(&bed, token).await, (401, 6), "{mode:?}: {what}");
        }
        assert_eq!(with(&bed, &real).await.0, 200, "the good one opens all the same");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_do_not_decide_may_be_missing_and_typ_is_ignored() {
    let bed = Bed::new(Mode::Proxied).await;
    let lean = json!({"aud": 1, "iss": ISSUER, "exp": NOW_S + 5});
    assert_eq!(with(&bed, &sign(&lean)).await.0, 200);
    let mut header = Header::new(Algorithm::HS256);
    (header.typ, header.kid) = (Some("at+jwt".into()), Some("new".into()));
    let odd = jsonwebtoken::encode(&header, &lean, &EncodingKey::from_secret(KEY.as_bytes())).unwrap();
    assert_eq!(with(&bed, &odd).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remembered_token_expires_in_its_second() {
    let bed = Bed::new(Mode::Mounted).await;
    let mut short = claims(1);
    short["exp"] = json!(NOW_S + 60);
    let short = sign(&short);
    // More often than there are workers, so that each has it in its memory.
    for _ in 0..8 {
        assert_eq!(with(&bed, &short).await.0, 200);
    }
    bed.clock.advance_ms(59_999);
    assert_eq!(with(&bed, &short).await.0, 200);
    bed.clock.advance_ms(1);
    for _ in 0..8 {
        assert_eq!(with(&bed, &short).await, (401, 6));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_credential_is_taken() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let (one, two) = (format!("Bearer {}", token(1)), format!("Bearer {}", token(2)));
        let several = [
            bed.get(ROUTE).header("authorization", &one).header("authorization", &one),
            bed.get(ROUTE).header("authorization", &one).header("authorization", &two),
            bed.get(ROUTE).header("authorization", format!("{one}, {two}")),
            bed.get(ROUTE).header("authorization", format!("{},{}", token(1), token(2))),
            bed.get(ROUTE).header("authorization", format!("{one} {}", token(2))),
            bed.get(ROUTE),
            bed.get(ROUTE).header("authorization", ""),
            bed.get(ROUTE).header("authorization", "Bearer"),
            bed.get(ROUTE).header("authorization", "Basic YWRtaW46YWRtaW4="),
            bed.get(&format!("{ROUTE}?token={}", token(1))),
            bed.get(ROUTE).header("cookie", format!("token={}", token(1))),
        ];
        for request in several {
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 401);
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            assert_eq!((&body["status"], &body["errors"]), (&json!(6), &json!({})));
        }
    }
}
