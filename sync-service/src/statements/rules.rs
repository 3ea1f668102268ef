use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};

/// One change of the day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub number: String,
    pub order_seq: i64,
    pub event_id: String,
}

/// What a day comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    pub count: usize,
    /// Lower hex.
    pub sha256: String,
    /// The last change of each order on that day.
    pub last_seqs: BTreeMap<String, i64>,
}

pub fn proof(mut entries: Vec<Entry>) -> Proof {
    entries.sort();
    let mut digest = Context::new(&SHA256);
    let mut last_seqs = BTreeMap::new();
    let count = entries.len();
    for entry in entries {
        digest.update(format!("{},{},{}\n", entry.number, entry.order_seq, entry.event_id).as_bytes());
        last_seqs.insert(entry.number, entry.order_seq);
    }
    Proof { count, sha256: hex::encode(digest.finish()), last_seqs }
}

#[cfg(test)]
mod tests {
    use platform::seal::sha256_hex;

    use super::*;

    fn entry(number: &str, order_seq: i64, event_id: &str) -> Entry {
        Entry { number: number.into(), order_seq, event_id: event_id.into() }
    }

    #[test]
    fn the_proof_is_the_sorted_list_and_nothing_else() {
        let made = proof(vec![entry("2", 1, "c"), entry("1", 10, "b"), entry("1", 9, "a")]);
        assert_eq!(made.sha256, sha256_hex(b"1,9,a\n1,10,b\n2,1,c\n"));
        assert_eq!(made.count, 3);
        assert_eq!(made.last_seqs, BTreeMap::from([("1".into(), 10), ("2".into(), 1)]));
        assert_eq!(proof(vec![]).sha256, sha256_hex(b""));
    }
}
