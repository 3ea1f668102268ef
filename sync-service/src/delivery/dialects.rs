//! The two ways a change is worded, signed and acknowledged, over the same stored bytes
//! (`spec/partner-sync-api.md`, "Dialects").

use std::borrow::Cow;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::house_key::HouseKey;
use crate::subscriptions::rules::Dialect;

/// A signing secret, ready to be used.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads `whsec_<base64>`; `None` if it is not.
    pub fn read(secret: &SecretString) -> Option<Self> {
        let encoded = secret.expose_secret().strip_prefix("whsec_")?;
        let bytes = STANDARD.decode(encoded).ok().filter(|b| !b.is_empty())?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// A key nobody has.
    pub fn random() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &platform::seal::random_bytes::<32>()))
    }

    /// The `v1` signature of Standard Webhooks: base64 of HMAC-SHA256 over `id.timestamp.body`.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id, ".", &timestamp.to_string(), ".", body] {
            context.update(part.as_bytes());
        }
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The value of `webhook-signature`: one for each key (two while a secret is being rotated), and with a house key
/// `v1a`, Ed25519 over the same text.
pub fn signature(
    keys: &[&SigningKey],
    house: Option<&HouseKey>,
    id: &str,
    timestamp: i64,
    body: &str,
) -> String {
    let mut all: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    all.extend(house.map(|key| format!("v1a,{}", key.sign(format!("{id}.{timestamp}.{body}").as_bytes()))));
    all.join(" ")
}

/// The legacy `sign`: lower-hex md5 of all non-empty fields but sign, sorted by name, joined `k=v&…`, followed
/// directly by the token.
pub fn gth_sign(form: &str, token: &str) -> String {
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = url::form_urlencoded::parse(form.as_bytes())
        .filter(|(name, value)| name != "sign" && !value.is_empty())
        .collect();
    fields.sort();
    let mut text = String::with_capacity(form.len() + token.len());
    for (name, value) in &fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text.push_str(token);
    hex::encode(Md5::digest(text))
}

/// The media type of a dialect's body.
pub fn content_type(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Standard => "application/json",
        Dialect::Gth => "application/x-www-form-urlencoded",
    }
}

/// As [`content_type`], for a dialect's word.
pub fn content_type_of(word: &str) -> &'static str {
    content_type(Dialect::from_word(word).unwrap_or(Dialect::Standard))
}

/// Does this answer say that the receiver has it?
pub fn acknowledges(dialect: Dialect, status: u16, body: &str) -> bool {
    (200..300).contains(&status)
        && match dialect {
            Dialect::Standard => true,
            Dialect::Gth => gth_acknowledges(body),
        }
}

/// `success`/`ok` in any case, or JSON whose `code` or `status` is 0, 200, "0", "200" or true.
fn gth_acknowledges(body: &str) -> bool {
    let body = body.trim_start_matches('\u{feff}').trim();
    if ["success", "ok"].iter().any(|word| body.eq_ignore_ascii_case(word)) {
        return true;
    }
    let said_yes = |value: &Value| match value {
        Value::Number(n) => matches!(n.as_i64(), Some(0 | 200)),
        Value::String(s) => s == "0" || s == "200",
        Value::Bool(b) => *b,
        _ => false,
    };
    match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(object)) => ["code", "status"].iter().filter_map(|k| object.get(*k)).any(said_yes),
        Ok(Value::String(word)) => ["success", "ok"].iter().any(|w| word.eq_ignore_ascii_case(w)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_agrees_with_the_standard_webhooks_vector() {
        let key = SigningKey::read(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).expect("a key");
        let body = r#"{"test": 2432232314}"#;
        let made = signature(&[&key], None, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signature(&[&key, &key], None, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(two, format!("{made} {made}"));
    }

    #[test]
    fn secrets_of_another_form_are_no_keys() {
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_???"] {
            assert!(SigningKey::read(&bad.into()).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_md5_sign_agrees_with_the_vector_of_the_spec() {
        let token = "jW5DoNjzP7NXb1nvf4ZKGb4bH0fWbbiwokzoyo8QX7cmSuy4l6";
        let sign = "1a61a64b3924a35d65ef3f512e68d069";
        assert_eq!(gth_sign("share_id=123&sku=321&source_id=123321", token), sign);
        // Order, empty fields and an old sign do not matter.
        assert_eq!(gth_sign("source_id=123321&empty=&sku=321&sign=x&share_id=123", token), sign);
    }

    #[test]
    fn the_md5_sign_is_made_over_the_values_and_not_their_encoding() {
        assert_eq!(gth_sign("a=1%262&b=%E4%B8%AD+x", "t"), hex::encode(Md5::digest("a=1&2&b=中 xt")));
        assert_eq!(gth_sign("zero=0", "t"), hex::encode(Md5::digest("zero=0t")), "0 is not empty");
    }

    #[test]
    fn any_2xx_acknowledges_the_standard_dialect() {
        assert!([200, 201, 204, 299].iter().all(|s| acknowledges(Dialect::Standard, *s, "whatever")));
        assert!(![100, 199, 301, 302, 400, 410, 429, 500].iter().any(|s| acknowledges(
            Dialect::Standard,
            *s,
            "ok"
        )));
    }

    #[test]
    fn the_gth_dialect_wants_a_word_as_well() {
        let yes = [
            "success",
            "SUCCESS",
            " ok\n",
            "Ok",
            "\u{feff}success",
            "\"success\"",
            r#"{"code":0}"#,
            r#"{"code":200}"#,
            r#"{"code":"0"}"#,
            r#"{"status":"200","x":1}"#,
            r#"{"status":true}"#,
            r#"{"code":500,"status":200}"#,
        ];
        for body in yes {
            assert!(acknowledges(Dialect::Gth, 200, body), "{body}");
            assert!(!acknowledges(Dialect::Gth, 500, body), "{body} with 500");
        }
        let no = [
            "",
            "fail",
            "success!",
            "not ok",
            "<html>success</html>",
            r#"{"code":1}"#,
            r#"{"code":false}"#,
            r#"{"code":"ok"}"#,
            r#"{"status":null}"#,
            r#"{"data":0}"#,
            "[0]",
            "0",
            "true",
            r#"{"code":0.5}"#,
            "{",
        ];
        for body in no {
            assert!(!acknowledges(Dialect::Gth, 200, body), "{body}");
        }
    }
}
