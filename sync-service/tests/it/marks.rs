//! Marks of the drop-in entry are forgotten, and no caller can tell.

use std::collections::BTreeMap;

use contracts::events::OrderStateChanged;

use crate::{
    fixture::{Fixture, change},
    partner_sync::orders,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Up to three orders change once more; those of even number are a distributor's.
fn changes(chance: &mut Chance, seqs: &mut BTreeMap<i64, i64>) -> Vec<OrderStateChanged> {
    (0..chance.below(4))
        .map(|_| {
            let order = i64::try_from(chance.below(12)).unwrap() + 1;
            let seq = seqs.entry(order).or_default();
            *seq += 1;
            let mut changed = change(order, *seq);
            changed.order.distributor_id = if order % 2 == 0 { 8 } else { 0 };
            changed
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_the_same_whether_marks_are_forgotten_or_not() {
    let (keeps, forgets) = (Fixture::with_partner(&[]).await, Fixture::with_partner(&[]).await);
    let mut chance = Chance(7);
    let (mut seqs, mut forgotten, mut answered, mut silent) = (BTreeMap::new(), 0, 0, 0);
    for step in 0..70 {
        // Often the same day, sometimes after a silence longer than a sync looks back.
        let hours = [1, 5, 13, 26, 49, 100, 215][usize::try_from(chance.below(7)).unwrap()];
        let news = changes(&mut chance, &mut seqs);
        let query = format!(
            "type={}{}",
            1 + chance.below(2),
            ["", "&api_url=https://example.com/a"][usize::try_from(chance.below(2)).unwrap()]
        );
        for f in [&keeps, &forgets] {
            f.after_ms(hours * HOUR_MS);
            f.publish(&news).await;
        }
        forgotten += forgets.forget().await.marks;
        let expected = orders(&keeps.sync(&query).await);
        assert_eq!(orders(&forgets.sync(&query).await), expected, "step {step}: {query}");
        answered += usize::from(!expected.is_empty());
        silent += usize::from(expected.is_empty());
    }
    assert!(
        forgotten > 5 && answered > 5 && silent > 5,
        "{forgotten} {answered} {silent}: nothing was tried"
    );
    assert_eq!(keeps.rows("sync_mark").await, 4);
    keeps.bed.finish().await;
    forgets.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_stay_while_they_tell_seen_from_new_and_all_go_in_the_end() {
    let f = Fixture::with_partner(&[]).await;
    f.publish(&[change(1, 1)]).await;
    assert_eq!(orders(&f.sync("").await), [(1, 1)]);
    for day in 1..=7 {
        f.after_ms(DAY_MS);
        assert_eq!(f.forget().await.marks, 0, "day {day}: the order would come again");
        assert_eq!(orders(&f.sync("").await), []);
    }
    // Nothing came in since: what a sync looks back at begins behind everything.
    f.after_ms(2 * DAY_MS);
    assert_eq!(f.forget().await.marks, 1);
    assert_eq!(f.rows("sync_mark").await, 0);
    f.publish(&[change(2, 1)]).await;
    assert_eq!(orders(&f.sync("").await), [(2, 1)], "what is new comes, what is old does not");
    assert_eq!(orders(&f.sync("").await), []);

    // Addresses that are named once leave a mark each; more than one transaction takes.
    let sql = "INSERT INTO sync_mark (key_id, channel, source, url_sha256, seq)";
    let many: Vec<String> = (0..4_500).map(|n| format!("({}, 1, 1, '{n:064}', 1)", 100 + n % 7)).collect();
    f.run(&format!("{sql} VALUES {}", many.join(", "))).await;
    assert_eq!(f.forget().await.marks, 4_500);
    assert_eq!(f.rows("sync_mark").await, 1, "the mark of today's sync");
    f.bed.finish().await;
}
