//! Single values as clients write them: integers, amounts, mobiles, dates. Pure; no floating point.

use chrono::NaiveDate;

/// Largest amount accepted: 12 digits of yuan, so that a JSON number still names every fen.
pub const MAX_FEN: i64 = 99_999_999_999_999;

/// What is wrong with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// Not written as a number of this kind.
    Form,
    /// Well written, but larger or smaller than can be held.
    Range,
}

/// Reads a decimal integer; `.0` at the end is accepted, since some clients write every number as a float.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return Err(NumberError::Form),
        None => text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::Form);
    }
    whole.parse().map_err(|_| NumberError::Range)
}

/// Reads yuan with at most two decimals as fen; negative amounts and exponents are no amounts.
pub fn parse_yuan(text: &str) -> Result<i64, NumberError> {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (yuan, cents) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(yuan) || !digits(cents) || cents.len() > 2 {
        return Err(NumberError::Form);
    }
    let yuan: i64 = yuan.parse().map_err(|_| NumberError::Range)?;
    let cents = cents.bytes().fold(0, |sum, b| sum * 10 + i64::from(b - b'0'))
        * if cents.len() == 1 { 10 } else { 1 };
    yuan.checked_mul(100)
        .and_then(|fen| fen.checked_add(cents))
        .filter(|fen| *fen <= MAX_FEN)
        .ok_or(NumberError::Range)
}

/// A mobile number as the person meant it: full-width digits and `＋` become ASCII, spaces and invisible
/// characters go, and so does the `.0` of a number cell. Says nothing about whether it is one.
pub fn normal_mobile(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| {
            !c.is_whitespace()
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
        })
        .map(|c| match c {
            '０'..='９' | '＋' | '－' | '．' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
            c => c,
        })
        .collect();
    match plain.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole.to_owned(),
        _ => plain,
    }
}

/// Could this normalised text be a telephone number? Digits, `+` and `-`, at most 20 of them, some digit.
pub fn is_mobile(text: &str) -> bool {
    text.len() <= 20
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'+' || b == b'-')
}

/// The day of `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`: the first 10 characters count.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let day = text.split([' ', 'T']).next()?;
    let day = day.char_indices().nth(10).map_or(day, |(at, _)| &day[..at]);
    let mut parts = day.split('-').map(|p| (p.bytes().all(|b| b.is_ascii_digit()), p));
    let mut next =
        |max: usize| parts.next().filter(|(ok, p)| *ok && (1..=max).contains(&p.len())).map(|(_, p)| p);
    let (year, month, date) = (next(4)?, next(2)?, next(2)?);
    if year.len() != 4 || day.matches('-').count() != 2 {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, date.parse().ok()?)
}

/// Reads `true`, `false`, `1`, `0`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_decimal_and_fit() {
        for (text, expected) in
            [("0", 0), ("-7", -7), ("007", 7), ("5.0", 5), ("9223372036854775807", i64::MAX)]
        {
            assert_eq!(parse_int(text), Ok(expected), "{text}");
        }
        for text in ["", "-", "+5", "1e3", "5.", "5.5", ".0", "0x1", "1 2", "５", "--1", "NaN", "1_000"] {
            assert_eq!(parse_int(text), Err(NumberError::Form), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", &"9".repeat(5000)] {
            assert_eq!(parse_int(text), Err(NumberError::Range));
        }
    }

    #[test]
    fn yuan_become_fen_without_a_float() {
        for (text, expected) in
            [("0", 0), ("100", 10_000), ("19.9", 1990), ("19.99", 1999), ("0.05", 5), ("1.0", 100)]
        {
            assert_eq!(parse_yuan(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "+1", ".5", "5.", "1.005", "1,000", "1e2", "1.-1", "一百", "1.2.3", "∞"] {
            assert_eq!(parse_yuan(text), Err(NumberError::Form), "{text}");
        }
        assert_eq!(parse_yuan("999999999999.99"), Ok(MAX_FEN));
        for text in ["1000000000000", "9223372036854775807", "99999999999999999999"] {
            assert_eq!(parse_yuan(text), Err(NumberError::Range), "{text}");
        }
    }

    #[test]
    fn every_fen_survives_the_way_over_a_json_number() {
        for fen in (0..2_000_i64).chain([12_345_678_901, MAX_FEN - 1, MAX_FEN]) {
            let json = format!("{}.{:02}", fen / 100, fen % 100);
            let number: serde_json::Number = serde_json::from_str(&json).expect("a number");
            assert_eq!(parse_yuan(&number.to_string()), Ok(fen), "{json}");
        }
    }

    #[test]
    fn mobiles_are_read_as_the_person_meant() {
        for (text, expected) in [
            (" 184 3481 9907 ", "18434819907"),
            ("１８４３４８１９９０７", "18434819907"),
            ("18434819907.0", "18434819907"),
            ("\u{feff}184\u{3000}34819907\u{200b}", "18434819907"),
            ("＋86-18434819907", "+86-18434819907"),
        ] {
            assert_eq!(normal_mobile(text), expected);
            assert!(is_mobile(expected));
        }
        for text in ["", "+", "abc", "1843481990x", "123456789012345678901", "1.5", "😀"] {
            assert!(!is_mobile(&normal_mobile(text)), "{text}");
        }
    }

    #[test]
    fn dates_count_by_their_first_ten_characters() {
        let day = NaiveDate::from_ymd_opt(2024, 9, 1);
        for text in
            ["2024-09-01", "2024-09-01 00:00:00", "2024-09-01T10:00:00+08:00", "2024-9-1", "2024-9-1 8:00"]
        {
            assert_eq!(parse_date(text), day, "{text}");
        }
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2024-02-30",
            "20240901",
            "+024-09-01",
            "2024-09-0１",
            "昨天的日期是哪一天呀啊",
            "-1-1-1",
            "24-9-1",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
