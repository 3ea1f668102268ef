use serde::Serialize;

/// How long a token lives.
pub const TOKEN_SECONDS: i64 = 86_400;
/// Longest `X-Device-Id`.
pub const MAX_DEVICE_CHARS: usize = 128;

/// What stands in a token. The clients of the seed read these themselves, so names and types stay.
#[derive(Debug, Serialize)]
pub struct Claims<'a> {
    /// 8 random hex digits.
    pub code: String,
    /// `X-Device-Id`, or "".
    pub device: &'a str,
    /// Account id, a JSON number.
    pub aud: i64,
    pub iss: &'a str,
    pub sub: &'a str,
    /// 8 random hex digits.
    pub ident: String,
    /// Unix seconds.
    pub iat: i64,
    /// Unix seconds.
    pub exp: i64,
    pub jti: String,
}

/// `iat` of a token made now: not below what the account's tokens must have.
pub fn issued_at(now_s: i64, tokens_valid_from: i64) -> i64 {
    now_s.max(tokens_valid_from)
}

/// The new `tokens_valid_from` that ends every token the account was ever given.
pub fn end_all(now_s: i64, last_token_iat: i64, tokens_valid_from: i64) -> i64 {
    tokens_valid_from.max(now_s.max(last_token_iat) + 1)
}

/// Until when a token of this account must be listed as dead: no token it has can live longer.
pub fn latest_expiry(now_s: i64, last_token_iat: i64) -> i64 {
    now_s.max(last_token_iat) + TOKEN_SECONDS
}

/// Is `device` fit to stand in a token? Visible ASCII and spaces, as header values are.
pub fn is_device(device: &str) -> bool {
    device.len() <= MAX_DEVICE_CHARS && device.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_one_second_old_tokens_die_and_new_ones_live() {
        let now = 1_795_000_000;
        let mut valid_from = 0;
        let mut last = 0;
        for _ in 0..100 {
            let old = issued_at(now, valid_from);
            last = last.max(old);
            valid_from = end_all(now, last, valid_from);
            assert!(old < valid_from, "an old token lives");
            let new = issued_at(now, valid_from);
            assert!(new >= valid_from, "a new token is dead");
        }
    }

    #[test]
    fn a_replica_whose_clock_is_behind_ends_tokens_of_one_that_is_ahead() {
        let (ahead, behind) = (1_795_000_030, 1_795_000_000);
        let issued = issued_at(ahead, 0);
        assert!(issued < end_all(behind, issued, 0));
    }

    #[test]
    fn ending_twice_without_a_login_between_moves_with_the_clock_only() {
        let first = end_all(100, 50, 0);
        assert_eq!(first, 101);
        assert_eq!(end_all(100, 50, first), 101);
        assert_eq!(end_all(200, 50, first), 201);
    }

    #[test]
    fn devices_are_header_text() {
        assert!(is_device("") && is_device("iPhone 15; 45") && is_device(&"x".repeat(128)));
        for odd in ["手机", "a\tb", "a\0", &"x".repeat(129)] {
            assert!(!is_device(odd), "{odd}");
        }
    }
}
