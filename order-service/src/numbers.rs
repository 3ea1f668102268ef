//! Order numbers, and where the order of a number stands.

use chrono::NaiveDateTime;
use platform::{clock, ids, seal::hmac_sha256};
use secrecy::{ExposeSecret, SecretString};

/// Makes order numbers: 15 digits of UTC time (`yyMMddHHmmssSSS`) and 4 that say nothing.
///
/// The four are a keyed permutation, another one for each millisecond, of the bits that tell apart the ids of
/// one millisecond: numbers are unique because ids are, and knowing some does not help to guess the next.
#[derive(Clone)]
pub struct Numbers {
    key: [u8; 32],
}

const TAIL: u32 = 10_000;
/// The network permutes 14 bits; what falls beyond [`TAIL`] is permuted again until it does not.
const HALF_BITS: u32 = 7;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
const ROUNDS: u8 = 6;

impl Numbers {
    pub fn new(secret: &SecretString) -> Self {
        Self { key: hmac_sha256(secret.expose_secret().as_bytes(), b"baodan/order-number/v1") }
    }

    /// The number of the order with this id.
    pub fn number(&self, id: i64) -> String {
        let ms = ids::made_at_ms(id);
        let within = u32::try_from(ids::within_ms(id)).unwrap_or_default();
        format!("{}{:04}", time_of_number(ms), self.tail(ms, within))
    }

    fn tail(&self, ms: i64, within: u32) -> u32 {
        let mut value = within;
        loop {
            value = self.permute(ms, value);
            if value < TAIL {
                return value;
            }
        }
    }

    /// A Feistel network: whatever the round function is, each value goes to another one.
    fn permute(&self, ms: i64, value: u32) -> u32 {
        let (mut left, mut right) = (value >> HALF_BITS, value & HALF_MASK);
        for round in 0..ROUNDS {
            let mut text = [0_u8; 10];
            text[..8].copy_from_slice(&ms.to_be_bytes());
            text[8] = round;
            text[9] = right as u8;
            let mixed = u32::from(hmac_sha256(&self.key, &text)[0]) & HALF_MASK;
            (left, right) = (right, left ^ mixed);
        }
        (left << HALF_BITS) | right
    }
}

/// The digits a number made at `ms` begins with.
fn time_of_number(ms: i64) -> String {
    clock::instant(ms).format("%y%m%d%H%M%S%3f").to_string()
}

/// How many digits of a number are its time.
pub const TIME_DIGITS: usize = 15;
/// 2100-01-01: beyond it the two digits of the year begin anew.
const END_MS: i64 = 4_102_444_800_000;

/// The ids (from, to; `to` excluded) of all orders whose number begins with `prefix`, and of no others as long
/// as it is at most [`TIME_DIGITS`] long: numbers rise with time as ids do. `None` for what begins no number.
pub fn ids_of_numbers(prefix: &str) -> Option<(i64, i64)> {
    if !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let time = &prefix[..prefix.len().min(TIME_DIGITS)];
    let first_where = |reached: &dyn Fn(&str) -> bool| {
        let (mut low, mut high) = (ids::EPOCH_MS, END_MS);
        while low < high {
            let middle = low + (high - low) / 2;
            if reached(&time_of_number(middle)) { high = middle } else { low = middle + 1 }
        }
        low
    };
    let (lowest, highest) = (format!("{time:0<TIME_DIGITS$}"), format!("{time:9<TIME_DIGITS$}"));
    let from = first_where(&|number| number >= lowest.as_str());
    let to = first_where(&|number| number > highest.as_str());
    (from < to).then(|| (ids::floor_at(from), ids::floor_at(to)))
}

const DIGITS: usize = 19;

/// The ids an order of this number can have, first and behind the last: those of its millisecond. With them a
/// look-up touches one partition. `None`: it is no number of ours.
pub fn window(number: &str) -> Option<(i64, i64)> {
    if number.len() != DIGITS || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (time, ms) = number[..TIME_DIGITS].split_at(TIME_DIGITS - 3);
    let second = NaiveDateTime::parse_from_str(&format!("20{time}"), "%Y%m%d%H%M%S").ok()?;
    let ms = second.and_utc().timestamp_millis() + ms.parse::<i64>().ok()?;
    Some((ids::floor_at(ms), ids::floor_at(ms + 1)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use platform::{clock::Clock, ids::Ids};

    use super::*;

    fn numbers() -> Numbers {
        Numbers::new(&"0123456789abcdefghijklmnopqrstuvwxyz".into())
    }

    #[test]
    fn a_number_has_19_digits_and_begins_with_the_time() {
        let ids = Ids::new(Clock::manual(1_795_269_845_026), 3);
        let number = numbers().number(ids.next());
        assert_eq!(number.len(), 19);
        assert!(number.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(&number[..15], "261121140405026", "{number}");
    }

    #[test]
    fn all_ids_of_a_millisecond_have_different_numbers() {
        let numbers = numbers();
        for ms in [1_795_269_845_026, 1_795_269_845_027] {
            let tails: HashSet<u32> = (0..4096).map(|within| numbers.tail(ms, within)).collect();
            assert_eq!(tails.len(), 4096);
            assert!(tails.iter().all(|t| *t < TAIL));
        }
    }

    #[test]
    fn the_first_order_of_a_millisecond_does_not_always_end_the_same() {
        let numbers = numbers();
        let tails: HashSet<u32> = (0..1000).map(|ms| numbers.tail(1_795_269_845_026 + ms, 0)).collect();
        assert!(tails.len() > 900, "{} different ends of 1000", tails.len());
        let other = Numbers::new(&"zyxwvutsrqponmlkjihgfedcba9876543210".into());
        let same = (0..1000).filter(|ms| numbers.tail(*ms, 0) == other.tail(*ms, 0)).count();
        assert!(same < 10, "{same} of 1000 ends do not depend on the key");
    }

    #[test]
    fn numbers_rise_with_time() {
        let clock = Clock::manual(1_795_269_845_998);
        let (ids, numbers) = (Ids::new(clock.clone(), 0), numbers());
        let mut last = String::new();
        for _ in 0..2000 {
            clock.advance_ms(1);
            let number = numbers.number(ids.next());
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }

    #[test]
    fn the_beginning_of_a_number_names_a_stretch_of_ids() {
        let clock = Clock::manual(1_795_269_845_026);
        let (ids, numbers) = (Ids::new(clock.clone(), 7), numbers());
        let (before, of_it) = (ids.next(), {
            clock.advance_ms(1);
            ids.batch(300)
        });
        clock.advance_ms(10);
        let after = ids.next();
        let number = numbers.number(of_it[0]);
        for length in 1..=TIME_DIGITS {
            let (from, to) = ids_of_numbers(&number[..length]).expect("a beginning of a number");
            for id in [before, of_it[0], of_it[127], of_it[128], of_it[299], after] {
                let begins = numbers.number(id).starts_with(&number[..length]);
                assert_eq!((from..to).contains(&id), begins, "{length} digits, id {id}");
            }
        }
        let whole = ids_of_numbers(&number).expect("a number");
        assert_eq!(whole, ids_of_numbers(&number[..TIME_DIGITS]).expect("its time"));
        let all = ids_of_numbers("").expect("every number");
        assert!(all.0 == 0 && all.1 > after);
        for nothing in ["2613", "%", "26_1", "19", "2611 ", "２６", "260230"] {
            assert_eq!(ids_of_numbers(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_number_names_the_millisecond_its_order_was_placed_in() {
        let ids = Ids::new(Clock::manual(1_795_269_845_026), 31);
        for id in ids.batch(300) {
            let (first, behind) = window(&numbers().number(id)).expect("a window");
            assert!((first..behind).contains(&id), "{id} is not in {first}..{behind}");
            assert!(behind - first <= 4096);
            assert_eq!(ids_of_numbers(&numbers().number(id)), Some((first, behind)));
        }
        for none in [
            "",
            "1",
            "2611211404050261234x",
            "26112114040502612345",
            "２611211404050261234",
            "2613211404050261234",
            "2611212504050261234",
        ] {
            assert_eq!(window(none), None, "{none}");
        }
        assert!(window("0001010000000000000").is_some(), "before our ids begin there is an empty window");
    }
}
