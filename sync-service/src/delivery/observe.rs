//! Figures for operators. A label per partner is worth its series only while they are few: from
//! [`MOST_PARTNERS`] on all others share the label `other`.

use std::collections::{BTreeMap, HashMap, HashSet};

use metrics::{Counter, Histogram};
use platform::{clock::Clock, ids};

use super::{
    lane::Job,
    rules::Reply,
    sender::Exchange,
    store::{Backlog, Standing},
};

const MOST_PARTNERS: usize = 100;
const OTHER: &str = "other";

/// What the sender counts; the handles of a partner are looked up once.
#[derive(Default)]
pub struct Meters {
    of: HashMap<i64, Meter>,
    other: Option<Meter>,
}

struct Meter {
    acknowledged: Counter,
    refused: Counter,
    no_answer: Counter,
    attempt: Histogram,
    delivery: Histogram,
}

impl Meter {
    fn new(partner: &str) -> Self {
        let count = |outcome: &'static str| metrics::counter!("callback_attempts_total", "partner" => partner.to_owned(), "outcome" => outcome);
        Self {
            acknowledged: count("acknowledged"),
            refused: count("refused"),
            no_answer: count("no_answer"),
            attempt: metrics::histogram!("callback_attempt_seconds", "partner" => partner.to_owned()),
            delivery: metrics::histogram!("callback_delivery_seconds", "partner" => partner.to_owned()),
        }
    }
}

impl Meters {
    /// Counts an attempt; of one that was acknowledged also the time since the delivery was made.
    pub fn attempt(&mut self, partner_id: i64, job: &Job, exchange: &Exchange, clock: &Clock) {
        let room = self.of.len() < MOST_PARTNERS;
        let meter = if room || self.of.contains_key(&partner_id) {
            self.of.entry(partner_id).or_insert_with(|| Meter::new(&partner_id.to_string()))
        } else {
            self.other.get_or_insert_with(|| Meter::new(OTHER))
        };
        meter.attempt.record(exchange.duration_ms as f64 / 1000.0);
        match exchange.reply {
            Reply::Acknowledged => {
                meter.acknowledged.increment(1);
                let age_ms = clock.now_ms() - ids::made_at_ms(job.delivery_id);
                meter.delivery.record(age_ms.max(0) as f64 / 1000.0);
            }
            Reply::Refused { status: 0, .. } => meter.no_answer.increment(1),
            Reply::Refused { .. } | Reply::Gone => meter.refused.increment(1),
        }
    }
}

/// What waits, as gauges: those of partners that have nothing left go back to 0.
#[derive(Default)]
pub struct Gauges {
    shown: HashSet<String>,
}

#[derive(Default)]
struct Figures {
    waiting: i64,
    parked: i64,
    oldest_seconds: f64,
}

impl Gauges {
    pub fn show(&mut self, backlog: &[Backlog], now: i64) {
        let figures = by_label(backlog, now);
        for label in self.shown.iter().filter(|label| !figures.contains_key(*label)) {
            set(label, &Figures::default());
        }
        figures.iter().for_each(|(label, figures)| set(label, figures));
        self.shown = figures.into_keys().collect();
    }
}

fn set(label: &str, figures: &Figures) {
    metrics::gauge!("callback_waiting", "partner" => label.to_owned()).set(figures.waiting as f64);
    metrics::gauge!("callback_parked", "partner" => label.to_owned()).set(figures.parked as f64);
    metrics::gauge!("callback_oldest_seconds", "partner" => label.to_owned()).set(figures.oldest_seconds);
}

/// The partners with the oldest waiting delivery have labels of their own.
fn by_label(backlog: &[Backlog], now: i64) -> BTreeMap<String, Figures> {
    let age = |b: &Backlog| (now - ids::made_at_ms(b.oldest)).max(0) as f64 / 1000.0;
    let mut oldest: HashMap<i64, f64> = HashMap::new();
    for b in backlog {
        let of_partner = oldest.entry(b.partner_id).or_default();
        if b.standing == Standing::Waiting {
            *of_partner = of_partner.max(age(b));
        }
    }
    let mut partners: Vec<(i64, f64)> = oldest.into_iter().collect();
    partners.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let own: HashSet<i64> = partners.into_iter().take(MOST_PARTNERS).map(|(partner, _)| partner).collect();
    // Always there, so that nothing waiting is a figure and not a gap.
    let mut figures = BTreeMap::from([(OTHER.to_owned(), Figures::default())]);
    for b in backlog {
        let label = if own.contains(&b.partner_id) { b.partner_id.to_string() } else { OTHER.to_owned() };
        let figures = figures.entry(label).or_default();
        match b.standing {
            Standing::Parked => figures.parked += b.rows,
            Standing::Collecting => figures.waiting += b.rows,
            Standing::Waiting => {
                figures.waiting += b.rows;
                figures.oldest_seconds = figures.oldest_seconds.max(age(b));
            }
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(partner_id: i64, standing: Standing, rows: i64, made_at_ms: i64) -> Backlog {
        Backlog { partner_id, standing, rows, oldest: ids::floor_at(made_at_ms) }
    }

    #[test]
    fn a_partner_has_its_own_figures_and_a_paused_one_no_age() {
        let now = 1_795_000_000_000;
        let rows = [
            backlog(5, Standing::Waiting, 7, now - 90_000),
            backlog(5, Standing::Parked, 2, now - 900_000),
            backlog(6, Standing::Collecting, 3, now - 5_000_000),
        ];
        let figures = by_label(&rows, now);
        let of = |label: &str| (figures[label].waiting, figures[label].parked, figures[label].oldest_seconds);
        assert_eq!((of("5"), of("6")), ((7, 2, 90.0), (3, 0, 0.0)));
    }

    #[test]
    fn partners_beyond_the_bound_share_a_label_and_the_oldest_are_shown() {
        let now = 1_795_000_000_000;
        let rows: Vec<Backlog> =
            (1..=1_000).map(|id| backlog(id, Standing::Waiting, 1, now - id * 1_000)).collect();
        let figures = by_label(&rows, now);
        assert_eq!(figures.len(), MOST_PARTNERS + 1);
        assert_eq!((figures[OTHER].waiting, figures[OTHER].oldest_seconds), (900, 900.0));
        assert!(figures.contains_key("1000") && !figures.contains_key("900"));
    }
}
