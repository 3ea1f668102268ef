//! What happened: by the word of clients, by the database, and by the receivers; and where these differ.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use bench::{receiver::Faults, system::System};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use crate::load::{Kept, Ledger};

/// `Delivered` and `Parked` of sync-service's `delivery.status`.
const PARKED: i16 = 2;

/// What is counted, since the beginning or since the account before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Books {
    /// Changes that clients were told are done.
    pub accepted: u64,
    /// Rows of `order_history`.
    pub changes: u64,
    /// Changes that receivers got, each counted once.
    pub delivered: u64,
    /// Deliveries given up after their last try, visible and to be sent again by a person.
    pub parked: u64,
    /// Told to a client, and not in the database.
    pub forgotten: u64,
    /// In the database, neither delivered nor parked.
    pub lost: u64,
    /// Delivered, and not in the database; orders whose history has a gap.
    pub invented: u64,
    pub faults: Faults,
    /// Requests of clients that were not accepted at once.
    pub failed_requests: u64,
}

impl Books {
    pub fn since(&self, before: &Self) -> Self {
        let faults = (self.faults, before.faults);
        Self {
            accepted: self.accepted - before.accepted,
            changes: self.changes - before.changes,
            delivered: self.delivered - before.delivered,
            parked: self.parked - before.parked,
            // What is missing stays missing: told again with every account.
            forgotten: self.forgotten,
            lost: self.lost,
            invented: self.invented,
            faults: Faults {
                duplicates: faults.0.duplicates - faults.1.duplicates,
                altered: faults.0.altered - faults.1.altered,
                out_of_order: faults.0.out_of_order - faults.1.out_of_order,
                refused: faults.0.refused - faults.1.refused,
            },
            failed_requests: self.failed_requests - before.failed_requests,
        }
    }
}

/// One run, settled.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub books: Books,
    pub kept: Kept,
    /// From the end of the load until everything had arrived.
    pub drain: Duration,
    pub note: String,
}

impl Account {
    pub fn noted(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    /// Which promises it shows broken.
    pub fn broken(&self) -> Vec<String> {
        let (b, f) = (&self.books, &self.books.faults);
        [
            ("accepted changes are not in the database", b.forgotten),
            ("changes were lost on the way", b.lost),
            ("callbacks tell what never happened", b.invented),
            ("callbacks came out of order", f.out_of_order),
            ("repeats had another webhook-id or other bytes", f.altered),
            ("callbacks were not signed as they should be", f.refused),
        ]
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(what, n)| format!("{}: {n} {what}", self.name))
        .chain((b.changes == 0).then(|| format!("{}: nothing happened at all", self.name)))
        .collect()
    }

    /// For whoever watches.
    pub fn line(&self) -> String {
        let (b, f) = (&self.books, &self.books.faults);
        format!(
            "{}: {} accepted at {:.0}/s, {} in history, {} delivered, {} parked, {} lost, {} out of order, {} repeats, \
             {} requests failed, drained in {:.1} s",
            self.name,
            b.accepted,
            self.kept.rate,
            b.changes,
            b.delivered,
            b.parked,
            b.lost + b.forgotten + b.invented,
            f.out_of_order,
            f.duplicates + f.altered,
            b.failed_requests,
            self.drain.as_secs_f64(),
        )
    }
}

/// Where the databases are. A connection is made for each look: servers come and go in these runs.
pub struct Truth {
    source: Source,
}

enum Source {
    /// Folder of the files.
    Sqlite(PathBuf),
    Postgres(String),
}

/// An order in the database.
struct Order {
    number: String,
    service_no: i64,
    rows: i64,
    last: i64,
}

impl Truth {
    pub fn new(system: &System) -> Self {
        let source = match system.database_url() {
            Some(url) => Source::Postgres(url),
            None => Source::Sqlite(system.data()),
        };
        Self { source }
    }

    async fn open(&self, service: &str) -> Result<DatabaseConnection, String> {
        let url = match &self.source {
            Source::Sqlite(folder) => {
                format!("sqlite://{}?mode=ro", folder.join(format!("{service}.db")).display())
            }
            Source::Postgres(url) => url.clone(),
        };
        let mut options = ConnectOptions::new(url);
        if matches!(self.source, Source::Postgres(_)) {
            options.set_schema_search_path(service);
        }
        options.max_connections(1).connect_timeout(Duration::from_secs(3)).sqlx_logging(false);
        Database::connect(options).await.map_err(|e| format!("the database of {service}: {e}"))
    }

    async fn rows(&self, service: &str, sql: &str) -> Result<Vec<sea_orm::QueryResult>, String> {
        let db = self.open(service).await?;
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
        let closed = db.close().await;
        let rows = rows.map_err(|e| format!("{sql}: {e}"))?;
        closed.map_err(|e| e.to_string())?;
        Ok(rows)
    }

    async fn count(&self, service: &str, sql: &str) -> Result<u64, String> {
        let rows = self.rows(service, sql).await?;
        let n = rows.first().and_then(|r| r.try_get_by_index::<i64>(0).ok()).unwrap_or_default();
        Ok(n.unsigned_abs())
    }

    /// Rows of `order_history`.
    pub async fn changes(&self) -> Result<u64, String> {
        self.count("order", "SELECT count(*) FROM order_history").await
    }

    /// How many rows of history each of these orders has.
    pub async fn histories(&self, numbers: &[String]) -> Result<Vec<i64>, String> {
        let wanted: HashSet<&str> = numbers.iter().map(String::as_str).collect();
        let orders = self.orders().await?;
        Ok(orders.iter().filter(|o| wanted.contains(o.number.as_str())).map(|o| o.rows).collect())
    }

    async fn orders(&self) -> Result<Vec<Order>, String> {
        let sql = "SELECT o.number, o.service_no, count(*) AS n, max(h.seq) AS last
            FROM orders o JOIN order_history h ON h.order_id = o.id GROUP BY o.id, o.number, o.service_no";
        let read = |row: &sea_orm::QueryResult| {
            Ok(Order {
                number: row.try_get("", "number")?,
                service_no: row.try_get("", "service_no")?,
                rows: row.try_get("", "n")?,
                last: row.try_get("", "last")?,
            })
        };
        let rows = self.rows("order", sql).await?;
        rows.iter().map(|row| read(row).map_err(|e: sea_orm::DbErr| e.to_string())).collect()
    }

    /// Compares the three.
    pub async fn books(
        &self,
        ledger: &Ledger,
        received: &[HashMap<String, Vec<u32>>],
        faults: Faults,
        failed_requests: u64,
    ) -> Result<Books, String> {
        let parked = format!("SELECT count(*) FROM delivery WHERE status = {PARKED}");
        let parked = self.count("sync", &parked).await?;
        let orders = self.orders().await?;
        Ok(Books { faults, failed_requests, ..compare(&orders, ledger, received, parked) })
    }
}

/// Finds where what clients were told, the database and the receivers differ.
fn compare(orders: &[Order], ledger: &Ledger, received: &[HashMap<String, Vec<u32>>], parked: u64) -> Books {
    let mut books = Books { accepted: ledger.total(), parked, ..Books::default() };
    let known: HashSet<&str> = orders.iter().map(|o| o.number.as_str()).collect();
    books.forgotten = ledger.numbers().iter().filter(|n| !known.contains(n.as_str())).count() as u64;
    let mut missing = 0;
    for order in orders {
        books.changes += order.rows.unsigned_abs();
        let told = i64::from(ledger.of(&order.number, order.service_no));
        books.forgotten += (told - order.rows).max(0).unsigned_abs();
        books.invented += u64::from(order.rows != order.last);
        let got: HashSet<i64> = received
            .iter()
            .filter_map(|r| r.get(&order.number))
            .flatten()
            .map(|seq| i64::from(*seq))
            .collect();
        missing += (1..=order.last).filter(|seq| !got.contains(seq)).count() as u64;
        books.invented += got.iter().filter(|seq| **seq > order.last).count() as u64;
        books.delivered += got.len() as u64;
    }
    let strangers = received.iter().flat_map(HashMap::keys).filter(|n| !known.contains(n.as_str())).count();
    books.invented += strangers as u64;
    books.lost = missing.saturating_sub(parked);
    books
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: &str, rows: i64) -> Order {
        Order { number: number.into(), service_no: number.parse().expect("digits"), rows, last: rows }
    }

    fn received(orders: &[(&str, &[u32])]) -> Vec<HashMap<String, Vec<u32>>> {
        vec![orders.iter().map(|(n, seqs)| ((*n).to_owned(), seqs.to_vec())).collect()]
    }

    fn ledger(accepted: &[&str]) -> Ledger {
        let ledger = Ledger::default();
        accepted.iter().for_each(|number| ledger.accepted(number));
        ledger
    }

    fn broken(books: Books) -> String {
        let kept = Kept { seconds: 1.0, rate: 1.0 };
        Account { name: "run".into(), books, kept, drain: Duration::ZERO, note: String::new() }
            .broken()
            .join("; ")
    }

    #[test]
    fn three_accounts_that_agree_break_no_promise() {
        // The answer to the third change of 1 was lost; 2 has one callback parked.
        let books = compare(
            &[order("1", 3), order("2", 2)],
            &ledger(&["1", "1", "2", "2"]),
            &received(&[("1", &[1, 2, 3]), ("2", &[1])]),
            1,
        );
        assert_eq!((books.accepted, books.changes, books.delivered, books.parked), (4, 5, 4, 1));
        assert_eq!(broken(books), "");
    }

    #[test]
    fn every_difference_is_named() {
        let orders = [order("1", 2)];
        let whole = received(&[("1", &[1, 2])]);
        let of = |accepted: &[&str], received: &[HashMap<String, Vec<u32>>]| {
            broken(compare(&orders, &ledger(accepted), received, 0))
        };
        assert_eq!(of(&["1", "1"], &whole), "");
        assert_eq!(of(&["1", "1"], &received(&[("1", &[1])])), "run: 1 changes were lost on the way");
        assert_eq!(of(&["1", "1", "1"], &whole), "run: 1 accepted changes are not in the database");
        assert_eq!(of(&["1", "7"], &whole), "run: 1 accepted changes are not in the database");
        let told_too_much = received(&[("1", &[1, 2, 3]), ("9", &[1])]);
        assert_eq!(of(&["1"], &told_too_much), "run: 2 callbacks tell what never happened");
        let gap = Order { last: 3, ..order("1", 2) };
        let gap = compare(&[gap], &ledger(&[]), &received(&[("1", &[1, 2, 3])]), 0);
        assert_eq!(gap.invented, 1, "a history with a gap");
        let faults = Faults { altered: 1, out_of_order: 2, refused: 3, duplicates: 4 };
        let told = broken(Books { changes: 1, faults, ..Books::default() });
        assert_eq!(told.split("; ").count(), 3, "a repeat as such is allowed: {told}");
        assert_eq!(broken(Books::default()), "run: nothing happened at all");
    }
}
