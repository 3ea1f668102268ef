//! Parameters of the drop-in entry and the arithmetic of its signatures.

use chrono_tz::Tz;
use md5::{Digest, Md5};
use platform::{
    clock,
    http::{Fields, FromFields},
    seal,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    changes::rules::{DISTRIBUTOR, OWN},
    moment::Moment,
    subscriptions::rules::MAX_URL_CHARS,
};

/// Orders of one answer.
pub const PAGE: usize = 1000;
/// Rows of one pushed batch.
pub const PUSHED: usize = 100;
/// How far a change sync looks back.
pub const LOOK_BACK_MS: i64 = 7 * 86_400_000;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Orders,
    Callback,
}

impl Channel {
    /// Under which number its marks are kept.
    pub fn number(self) -> i16 {
        match self {
            Self::Orders => 1,
            Self::Callback => 2,
        }
    }
}

/// A stretch of time, unix milliseconds, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first_ms: i64,
    pub last_ms: i64,
}

/// Everything but the credential.
#[derive(Debug)]
pub struct Params {
    pub channel: Channel,
    /// 1 or 2.
    pub source: i16,
    /// "" = none.
    pub api_url: String,
    pub api_token: Option<SecretString>,
    start: Option<Moment>,
    end: Option<Moment>,
    /// Our addition: where a window that holds more than one answer goes on.
    pub cursor: Option<(i64, i64)>,
}

impl FromFields for Params {
    fn read(f: &mut Fields<'_>) -> Self {
        let source = f.optional_int("type", OWN.into()..=DISTRIBUTOR.into()).unwrap_or(OWN.into());
        let channel = match f.optional_int("channels", 1..=2) {
            Some(2) => Channel::Callback,
            _ => Channel::Orders,
        };
        let api_url = f.optional_text("api_url", MAX_URL_CHARS).unwrap_or_default();
        if channel == Channel::Callback && api_url.is_empty() {
            f.error("api_url", "不能为空", "is required");
        }
        let (start, end) = (Moment::field(f, "start"), Moment::field(f, "end"));
        let cursor = f.optional_text("cursor", 64).filter(|c| !c.is_empty());
        let place = cursor
            .as_deref()
            .and_then(|c| c.split_once('-'))
            .and_then(|(at, seq)| Some((at.parse().ok()?, seq.parse().ok()?)));
        if cursor.is_some() && place.is_none() {
            f.error("cursor", "不是有效的游标", "is no cursor");
        }
        let params = Self {
            channel,
            source: if source == i64::from(DISTRIBUTOR) { DISTRIBUTOR } else { OWN },
            api_url,
            api_token: f.optional_text("api_token", 200).filter(|t| !t.is_empty()).map(SecretString::from),
            start,
            end,
            cursor: place,
        };
        if let (Some(start), Some(end)) = (start, end)
            && start.first_ms(Tz::UTC) > end.last_ms(Tz::UTC)
        {
            f.error("end", "不能早于 start", "must not be before start");
        }
        params
    }
}

impl Params {
    /// The window, when one of its ends was given.
    pub fn window(&self, tz: Tz, now_ms: i64) -> Option<Span> {
        if self.start.is_none() && self.end.is_none() {
            return None;
        }
        Some(Span {
            first_ms: self.start.map_or(0, |m| m.first_ms(tz)),
            last_ms: self.end.map_or(now_ms, |m| m.last_ms(tz)),
        })
    }

    /// The api_url as marks know it.
    pub fn url_sha256(&self) -> String {
        if self.api_url.is_empty() { String::new() } else { seal::sha256_hex(self.api_url.as_bytes()) }
    }
}

/// How a request was signed, as far as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    None,
    Md5,
    Sha256,
}

impl Signed {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
        }
    }
}

/// Which of the signatures sent is good, made over `raw` exactly as it came; the stronger one counts.
pub fn signed(raw: &[u8], sk: &SecretString, sign: Option<&str>, sign_sha256: Option<&str>) -> Signed {
    let sk = sk.expose_secret().as_bytes();
    let equal = |sent: Option<&str>, made: String| {
        sent.is_some_and(|s| {
            seal::constant_time_eq(s.trim().to_ascii_lowercase().as_bytes(), made.as_bytes())
        })
    };
    if equal(sign_sha256, hex::encode(seal::hmac_sha256(sk, raw))) {
        return Signed::Sha256;
    }
    let md5 = hex::encode(Md5::new().chain_update(raw).chain_update(sk).finalize());
    if equal(sign, md5) { Signed::Md5 } else { Signed::None }
}

/// Does `apipwd`, plain or as its md5, agree with the stored md5?
pub fn apipwd_agrees(sent: &str, md5_hex: &str) -> bool {
    let stored = md5_hex.to_ascii_lowercase();
    let plain = hex::encode(Md5::digest(sent.as_bytes()));
    // Both comparisons always run.
    let (a, b) = (
        seal::constant_time_eq(plain.as_bytes(), stored.as_bytes()),
        seal::constant_time_eq(sent.to_ascii_lowercase().as_bytes(), stored.as_bytes()),
    );
    a | b
}

/// A moment in the business time zone, for people.
pub fn clock_text(at_ms: i64, tz: Tz) -> String {
    clock::instant(at_ms).with_timezone(&tz).format("%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use platform::http::fields;
    use serde_json::{Value, json};

    use super::*;

    fn params(value: Value) -> Result<Params, platform::http::ApiError> {
        fields::read(value.as_object().expect("an object"))
    }

    #[test]
    fn the_seeds_signature_vector_holds() {
        let raw = "key=35kj5jnlj53453kl5j43nj5&name=admin&password=123456&start=2024-09-01+00%3A00%3A00&end=2024-12-31+23%3A59%3A00";
        let sk = SecretString::from("56777ab62ff752fbd57ab7228fc2fc43");
        let sign = "2de9fb2aab0249c7801b6ee8bde19ce3";
        assert_eq!(signed(raw.as_bytes(), &sk, Some(sign), None), Signed::Md5);
        assert_eq!(signed(raw.as_bytes(), &sk, Some(&sign.to_uppercase()), None), Signed::Md5);
        assert_eq!(signed(raw.as_bytes(), &sk, Some("2de9"), None), Signed::None);
        assert_eq!(
            signed(raw.replace('+', "%20").as_bytes(), &sk, Some(sign), None),
            Signed::None,
            "never re-encoded"
        );
        let hmac = hex::encode(seal::hmac_sha256(sk.expose_secret().as_bytes(), raw.as_bytes()));
        assert_eq!(signed(raw.as_bytes(), &sk, Some(sign), Some(&hmac)), Signed::Sha256);
        assert_eq!(signed(raw.as_bytes(), &sk, None, Some(sign)), Signed::None);
        assert_eq!(signed(raw.as_bytes(), &sk, None, None), Signed::None);
    }

    #[test]
    fn apipwd_is_taken_plain_or_as_its_md5() {
        let stored = hex::encode(Md5::digest("pass123"));
        assert!(apipwd_agrees("pass123", &stored) && apipwd_agrees(&stored.to_uppercase(), &stored));
        assert!(!apipwd_agrees("pass124", &stored) && !apipwd_agrees("", &stored));
    }

    #[test]
    fn defaults_are_own_orders_by_channel_one_without_a_window() {
        let read = params(json!({})).expect("nothing is required");
        assert_eq!((read.channel, read.source, read.api_url.as_str()), (Channel::Orders, 1, ""));
        assert_eq!(read.window(Tz::Asia__Shanghai, 0), None);
        let read = params(json!({"type": "2", "channels": 2, "api_url": "https://a/", "start": ""}))
            .expect("all well");
        assert_eq!((read.channel, read.source, read.window(Tz::UTC, 0)), (Channel::Callback, 2, None));
    }

    #[test]
    fn windows_are_local_and_inclusive_and_open_where_an_end_is_missing() {
        let window = |value| {
            params(value).expect("a window").window(Tz::Asia__Shanghai, 1_795_000_000_000).expect("given")
        };
        let day = window(json!({"start": "2024-09-01", "end": "2024-09-01"}));
        assert_eq!(
            (day.last_ms - day.first_ms, clock::rfc3339(day.first_ms).as_str()),
            (86_399_999, "2024-08-31T16:00:00.000Z")
        );
        let second = window(json!({"start": "2024-09-01 00:00:00", "end": "2024-12-31 23:59:00"}));
        assert_eq!(clock::rfc3339(second.last_ms), "2024-12-31T15:59:00.999Z");
        assert_eq!(window(json!({"start": "2024-09-01"})).last_ms, 1_795_000_000_000);
        assert_eq!(window(json!({"end": "2024-09-01"})).first_ms, 0);
    }

    #[test]
    fn wrong_parameters_are_named() {
        let table = [
            ("type", json!({"type": 3})),
            ("type", json!({"type": "x"})),
            ("channels", json!({"channels": 0})),
            ("api_url", json!({"channels": 2})),
            ("api_url", json!({"api_url": "x".repeat(3000)})),
            ("start", json!({"start": "yesterday"})),
            ("end", json!({"end": "2024-02-30"})),
            ("end", json!({"start": "2024-09-02", "end": "2024-09-01"})),
            ("cursor", json!({"cursor": "1"})),
            ("cursor", json!({"cursor": "a-b"})),
            ("api_token", json!({"api_token": ["x"]})),
        ];
        for (field, value) in table {
            let error = params(value.clone()).expect_err(field);
            assert_eq!(error.errors()[0].0, field, "{value}");
        }
    }
}
