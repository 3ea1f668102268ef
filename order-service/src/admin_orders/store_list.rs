//! The queries of the lists. States stand in them as literals, so that every plan is made for its own filter;
//! each has an index that brings its orders by id. Pages are read where plans are kept
//! ([`Db::keeping_plans`]): their statements are written so that one plan serves all values.

use platform::db::Db;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, QueryResult, Statement, Value};

use super::page_map::Bucket;
use crate::entities::orders;

/// Which orders, besides the stretch of ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Narrow {
    pub customer_id: Option<i64>,
    /// Payment state, 0 = any.
    pub state: i16,
    /// 0 = any, 1 = all readings used up, 2 = some left.
    pub usage: i16,
    /// Beginning of `third_trade_num`, "" = any.
    pub trade: String,
    /// Beginning of `number` where the ids do not say it already, "" = any.
    pub number: String,
}

/// Ids from `from`, below `below`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: i64,
    pub below: i64,
}

/// Rows of a page: `limit` orders after `skip` newer ones.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    pub of: Stretch,
    pub skip: i64,
    pub limit: i64,
}

/// How orders with a payment's number are found.
#[derive(Debug, Clone, Copy)]
enum Trade {
    /// By the index of numbers: for few.
    ByIndex,
    /// Row by row, newest first: for so many that the next one is never far.
    ByRow,
}

/// A statement being written.
struct Sql {
    backend: DbBackend,
    values: Vec<Value>,
}

impl Sql {
    fn of(db: &Db) -> Self {
        Self::new(db.conn().get_database_backend())
    }

    fn new(backend: DbBackend) -> Self {
        Self { backend, values: Vec::new() }
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Everything that begins with `prefix`, in the order of bytes.
    fn begins(&mut self, column: &str, prefix: &str) -> String {
        let (low, high) = (self.bind(prefix), self.bind(format!("{prefix}\u{10FFFF}")));
        format!("{column} >= {low} AND {column} < {high}")
    }

    fn condition(&mut self, narrow: &Narrow, trade: Trade, of: Stretch) -> String {
        let (from, below) = (self.bind(of.from), self.bind(of.below));
        let mut text = format!("id >= {from} AND id < {below}");
        if let Some(id) = narrow.customer_id {
            let id = self.bind(id);
            text += &match self.backend {
                // Not one value, so that its index alone brings the orders in their order (see `rows`): where few
                // customers have many orders, a plan for any of them would walk all orders to find one's.
                DbBackend::Postgres => format!(" AND customer_id = ANY (ARRAY[{id}::bigint])"),
                _ => format!(" AND customer_id = {id}"),
            };
        }
        if narrow.state != 0 {
            text += &format!(" AND state = {}", narrow.state);
        }
        if narrow.usage != 0 {
            text += &format!(" AND usage = {} AND usage > 0", narrow.usage);
        }
        if !narrow.trade.is_empty() {
            text += &match trade {
                Trade::ByIndex => {
                    format!(
                        " AND third_trade_num <> '' AND {}",
                        self.begins("third_trade_num", &narrow.trade)
                    )
                }
                // Not the column itself, so that its index is out of the question.
                Trade::ByRow => format!(" AND {}", self.begins("(third_trade_num || '')", &narrow.trade)),
            };
        }
        if !narrow.number.is_empty() {
            text += &format!(" AND {}", self.begins("number", &narrow.number));
        }
        text
    }

    fn count(&mut self, narrow: &Narrow, of: Stretch, most: i64) -> String {
        let condition = self.condition(narrow, Trade::ByRow, of);
        let most = self.bind(most);
        format!("(SELECT count(*) FROM (SELECT 1 AS one FROM orders WHERE {condition} LIMIT {most}) AS x)")
    }

    fn rows(&mut self, narrow: &Narrow, rows: Rows) -> String {
        let condition = self.condition(narrow, Trade::ByRow, rows.of);
        let order = if narrow.customer_id.is_some() { "customer_id DESC, id DESC" } else { "id DESC" };
        self.rows_out_of(&format!("orders WHERE {condition} ORDER BY {order}"), rows)
    }

    /// The ids of the page come out of `source`, by an index alone; only its own rows are fetched.
    fn rows_out_of(&mut self, source: &str, rows: Rows) -> String {
        let (limit, skip) = (self.bind(rows.limit), self.bind(rows.skip));
        let ids = format!("(SELECT id FROM {source} LIMIT {limit} OFFSET {skip}) AS p");
        // The same stretch for the rows themselves, so that other months are left alone.
        let (from, below) = (self.bind(rows.of.from), self.bind(rows.of.below));
        let within = format!("o.id = p.id AND o.id >= {from} AND o.id < {below}");
        match self.backend {
            // LIMIT keeps it one probe an id: a plan made for no values in particular would rather read the stretch.
            DbBackend::Postgres => format!(
                "SELECT o.* FROM {ids} CROSS JOIN LATERAL (SELECT * FROM orders AS o WHERE {within} LIMIT 1) AS o"
            ),
            _ => format!("SELECT o.* FROM {ids} JOIN orders AS o ON {within}"),
        }
    }

    fn statement(self, text: String) -> Statement {
        Statement::from_sql_and_values(self.backend, text, self.values)
    }
}

/// One page and two counts, of at most `most` orders each, in one round trip.
///
/// # Errors
/// The database.
pub async fn counted_page(
    db: &Db,
    narrow: &Narrow,
    counts: [Stretch; 2],
    most: i64,
    rows: Rows,
) -> Result<([i64; 2], Vec<orders::Model>), DbErr> {
    let mut sql = Sql::of(db);
    let [a, b] = counts.map(|of| {
        if of.from < of.below { sql.count(narrow, of, most) } else { "CAST(0 AS BIGINT)".to_owned() }
    });
    let page = sql.rows(narrow, rows);
    let text = format!(
        "SELECT k.count_a, k.count_b, o.* FROM (SELECT {a} AS count_a, {b} AS count_b) AS k
            LEFT JOIN ({page}) AS o ON true ORDER BY o.id DESC"
    );
    counted(db, sql.statement(text)).await
}

/// As [`counted_page`] with one count, where the payment's number finds the orders: its index brings them unsorted,
/// so all of them are collected, `most` at the most. The page is right if fewer were.
///
/// # Errors
/// The database.
pub async fn counted_page_by_trade(
    db: &Db,
    narrow: &Narrow,
    most: i64,
    rows: Rows,
) -> Result<(i64, Vec<orders::Model>), DbErr> {
    let mut sql = Sql::of(db);
    let condition = sql.condition(narrow, Trade::ByIndex, rows.of);
    let most = sql.bind(most);
    let page = sql.rows_out_of("m ORDER BY id DESC", rows);
    let text = format!(
        "WITH m AS MATERIALIZED (SELECT id FROM orders WHERE {condition} LIMIT {most})
         SELECT k.count_a, k.count_b, o.* FROM
            (SELECT (SELECT count(*) FROM m) AS count_a, CAST(0 AS BIGINT) AS count_b) AS k
            LEFT JOIN ({page}) AS o ON true ORDER BY o.id DESC"
    );
    let ([count, _], orders) = counted(db, sql.statement(text)).await?;
    Ok((count, orders))
}

async fn counted(db: &Db, statement: Statement) -> Result<([i64; 2], Vec<orders::Model>), DbErr> {
    let found = db.keeping_plans().query_all_raw(statement).await?;
    let counts = match found.first() {
        Some(row) => [row.try_get("", "count_a")?, row.try_get("", "count_b")?],
        None => [0, 0],
    };
    let orders = found.iter().filter_map(order).collect::<Result<_, DbErr>>()?;
    Ok((counts, orders))
}

/// The order of a joined row, if there is one.
fn order(row: &QueryResult) -> Option<Result<orders::Model, DbErr>> {
    match row.try_get::<Option<i64>>("", "id") {
        Ok(None) => None,
        Ok(Some(_)) => Some(orders::Model::from_query_result(row, "")),
        Err(e) => Some(Err(e)),
    }
}

/// One page.
///
/// # Errors
/// The database.
pub async fn page(db: &Db, narrow: &Narrow, rows: Rows) -> Result<Vec<orders::Model>, DbErr> {
    let conn = db.keeping_plans();
    let found = conn.query_all_raw(page_statement(conn.get_database_backend(), narrow, rows)).await?;
    found.iter().map(|row| orders::Model::from_query_result(row, "")).collect()
}

/// The statement of [`page`]. Shown for the test of its plan.
pub fn page_statement(backend: DbBackend, narrow: &Narrow, rows: Rows) -> Statement {
    let mut sql = Sql::new(backend);
    let text = format!("{} ORDER BY o.id DESC", sql.rows(narrow, rows));
    sql.statement(text)
}

/// The first `most` orders of a stretch in buckets of `size`, oldest first.
///
/// # Errors
/// The database.
pub async fn buckets(
    db: &Db,
    narrow: &Narrow,
    of: Stretch,
    size: i64,
    most: i64,
) -> Result<Vec<Bucket>, DbErr> {
    let mut sql = Sql::of(db);
    let condition = sql.condition(narrow, Trade::ByRow, of);
    let (size, most) = (sql.bind(size), sql.bind(most));
    let text = format!(
        "SELECT min(id) AS first, max(id) AS last, count(*) AS n FROM (
            SELECT id, row_number() OVER (ORDER BY id) AS r FROM orders WHERE {condition} ORDER BY id LIMIT {most}
         ) AS t GROUP BY (r - 1) / {size} ORDER BY 1"
    );
    Bucket::find_by_statement(sql.statement(text)).all(db.conn()).await
}

/// The oldest order whose payment state can still change. One probe of `orders_state`.
///
/// # Errors
/// The database.
pub async fn oldest_unpaid(db: &Db) -> Result<Option<i64>, DbErr> {
    let conn = db.conn();
    let sql = "SELECT id FROM orders WHERE state = 1 ORDER BY id LIMIT 1";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
    row.map(|row| row.try_get("", "id")).transpose()
}
