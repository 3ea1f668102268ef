//! When a delivery is tried again, and when not any more (`spec/partner-sync-api.md`, "Delivery").

/// What became of a delivery, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Status {
    Waiting = 0,
    Delivered = 1,
    /// The schedule is used up; a person can resend it.
    Parked = 2,
    /// A newer state of the order went instead (latest-wins).
    Superseded = 3,
    /// Its subscription was deleted.
    Cancelled = 4,
}

impl Status {
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Delivered, Self::Parked, Self::Superseded, Self::Cancelled];

    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// The stored number; what is no status counts as waiting.
    pub fn from_number(n: i16) -> Self {
        Self::ALL.into_iter().find(|s| *s as i16 == n).unwrap_or(Self::Waiting)
    }
}

/// States of a queue row.
pub mod state {
    /// Behind an unfinished delivery of the same order.
    pub const BLOCKED: i16 = 0;
    /// May be sent from `next_attempt_at` on.
    pub const READY: i16 = 1;
    /// Given up; waits for a person.
    pub const PARKED: i16 = 2;
}

/// Longest a receiver may put us off by Retry-After.
pub const MAX_RETRY_AFTER_MS: i64 = 3_600_000;
/// Jitter adds up to this share of the pause.
const JITTER_PERCENT: i64 = 20;

/// How a receiver answered, reduced to what decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It has it.
    Acknowledged,
    /// 410: it never wants anything again.
    Gone,
    /// Anything else; the status is 0 when there was no answer.
    Refused { status: u16, retry_after_ms: Option<i64> },
}

/// What happens to a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Again at this time (unix ms).
    Retry(i64),
    /// The subscription is disabled; the delivery waits for its release.
    Stopped,
    Parked,
}

/// The pauses between tries.
#[derive(Debug, Clone)]
pub struct Schedule {
    pauses_ms: Vec<i64>,
}

impl Schedule {
    /// `pauses_ms[n]` comes after try n + 1; a delivery has one try more than there are pauses.
    pub fn new(pauses_ms: Vec<i64>) -> Self {
        Self { pauses_ms }
    }

    /// What follows `reply` to try number `try_no` (from 1) at `now`. `jitter` is a random number of 0..=255.
    pub fn verdict(&self, reply: Reply, try_no: i32, now: i64, jitter: u8) -> Verdict {
        let retry_after = match reply {
            Reply::Acknowledged => return Verdict::Delivered,
            Reply::Gone => return Verdict::Stopped,
            Reply::Refused { retry_after_ms, .. } => retry_after_ms.unwrap_or(0).clamp(0, MAX_RETRY_AFTER_MS),
        };
        let made = usize::try_from(try_no).unwrap_or(1).max(1);
        match self.pauses_ms.get(made - 1) {
            Some(pause) => {
                let added = pause * JITTER_PERCENT * i64::from(jitter) / (100 * 255);
                Verdict::Retry(now + (pause + added).max(retry_after))
            }
            None => Verdict::Parked,
        }
    }
}

/// Does this answer ask for less traffic rather than say that something is wrong?
pub fn asks_to_slow_down(status: u16) -> bool {
    matches!(status, 429 | 502 | 504)
}

/// `Retry-After` in milliseconds: seconds, or an HTTP date against `now`.
pub fn retry_after_ms(value: &str, now: i64) -> Option<i64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(i64::from(seconds) * 1000);
    }
    let date = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.timestamp_millis() - now).max(0))
}

/// A request that was made, to be made again by hand.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub url: &'a str,
    pub content_type: &'a str,
    pub event_id: &'a str,
    /// Unix seconds.
    pub timestamp: i64,
    pub signature: &'a str,
    /// The stored bytes.
    pub body: &'a str,
    /// "" = none was sent.
    pub sign: &'a str,
}

/// The request as a `curl` command; every part is one shell word, whatever it holds.
pub fn curl(r: &Request<'_>) -> String {
    let word = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let body = if r.sign.is_empty() { r.body.to_owned() } else { format!("{}&sign={}", r.body, r.sign) };
    let headers = [
        format!("content-type: {}", r.content_type),
        format!("webhook-id: {}", r.event_id),
        format!("webhook-timestamp: {}", r.timestamp),
        format!("webhook-signature: {}", r.signature),
    ];
    let headers: Vec<String> = headers.iter().map(|h| format!("-H {}", word(h))).collect();
    format!("curl -X POST {} {} --data-binary {}", word(r.url), headers.join(" "), word(&body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Reply = Reply::Refused { status: 500, retry_after_ms: None };

    fn schedule() -> Schedule {
        Schedule::new(vec![5_000, 30_000, 120_000])
    }

    #[test]
    fn each_try_waits_longer_and_the_last_parks() {
        let at = |try_no| schedule().verdict(REFUSED, try_no, 1_000, 0);
        assert_eq!(at(1), Verdict::Retry(6_000));
        assert_eq!(at(2), Verdict::Retry(31_000));
        assert_eq!(at(3), Verdict::Retry(121_000));
        assert_eq!(at(4), Verdict::Parked);
        assert_eq!(at(40), Verdict::Parked);
        assert_eq!(Schedule::new(vec![]).verdict(REFUSED, 1, 0, 0), Verdict::Parked);
    }

    #[test]
    fn jitter_only_adds_and_at_most_a_fifth() {
        for jitter in 0..=255 {
            let Verdict::Retry(at) = schedule().verdict(REFUSED, 2, 0, jitter) else { panic!("a retry") };
            assert!((30_000..=36_000).contains(&at), "{at}");
        }
    }

    #[test]
    fn retry_after_lengthens_a_pause_within_bounds_and_never_shortens_it() {
        let at = |ms| schedule().verdict(Reply::Refused { status: 429, retry_after_ms: Some(ms) }, 1, 0, 0);
        assert_eq!(at(1_000), Verdict::Retry(5_000));
        assert_eq!(at(60_000), Verdict::Retry(60_000));
        assert_eq!(at(i64::MAX), Verdict::Retry(MAX_RETRY_AFTER_MS));
        assert_eq!(at(-5), Verdict::Retry(5_000));
    }

    #[test]
    fn an_acknowledgement_ends_and_gone_stops() {
        assert_eq!(schedule().verdict(Reply::Acknowledged, 9, 0, 255), Verdict::Delivered);
        assert_eq!(schedule().verdict(Reply::Gone, 1, 0, 0), Verdict::Stopped);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        assert_eq!(retry_after_ms("120", 0), Some(120_000));
        assert_eq!(retry_after_ms(" 0 ", 0), Some(0));
        let at = 1_445_412_480_000 - 7_000;
        assert_eq!(retry_after_ms("Wed, 21 Oct 2015 07:28:00 GMT", at), Some(7_000));
        assert_eq!(retry_after_ms("Wed, 21 Oct 2015 07:28:00 GMT", at + 60_000), Some(0));
        for bad in ["", "soon", "-1", "1.5", "99999999999999"] {
            assert_eq!(retry_after_ms(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn a_curl_command_holds_no_word_that_ends_early() {
        let made = curl(&Request {
            url: "https://example.com/cb?a='; rm -rf /;'",
            content_type: "application/json",
            event_id: "evt_o1",
            timestamp: 7,
            signature: "v1,abc=",
            body: r#"{"reason":"it's"}"#,
            sign: "",
        });
        let expected = concat!(
            r#"curl -X POST 'https://example.com/cb?a='\''; rm -rf /;'\''' -H 'content-type: application/json' "#,
            r#"-H 'webhook-id: evt_o1' -H 'webhook-timestamp: 7' -H 'webhook-signature: v1,abc=' "#,
            r#"--data-binary '{"reason":"it'\''s"}'"#
        );
        assert_eq!(made, expected);
    }

    #[test]
    fn words_and_numbers_of_a_status_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_word(status.word()), Some(status));
            assert_eq!(Status::from_number(status as i16), status);
        }
    }
}
