//! A million orders as order-service would have made them over a year, and the filters of the list.

use platform::clock::{Clock, rfc3339};
use sea_orm::{ConnectionTrait, Database};

/// A filter of the list, and what it means in SQL.
pub struct Filter {
    pub label: &'static str,
    /// Behind the days, encoded.
    pub query: String,
    condition: String,
}

impl Filter {
    /// The page's rows, newest first.
    pub fn rows(&self, limit: u32) -> String {
        format!(
            "SELECT * FROM \"order\".orders WHERE id >= 0 {} ORDER BY id DESC LIMIT {limit};\n",
            self.condition
        )
    }

    /// What the page answers: how many match, and its rows.
    pub fn answer(&self, limit: u32) -> String {
        let count = format!("SELECT count(*) FROM \"order\".orders WHERE id >= 0 {};\n", self.condition);
        count + &self.rows(limit)
    }
}

pub fn filters() -> Vec<Filter> {
    let filter = |label, query: &str, condition: &str| Filter {
        label,
        query: query.to_owned(),
        condition: condition.to_owned(),
    };
    // `2611`: this month's orders.
    let month = rfc3339(Clock::system().now_ms()).get(2..7).unwrap_or_default().replace('-', "");
    let of_month = (format!("&number={month}"), format!("AND number >= '{month}' AND number < '{month}~'"));
    vec![
        filter("days only", "", ""),
        filter("state = 1", "&state=1", "AND state = 1"),
        filter("state = 2", "&state=2", "AND state = 2"),
        filter("state = 3", "&state=3", "AND state = 3"),
        filter("used up", "&usage_expend_status=1", "AND usage = 1 AND usage > 0"),
        filter("in use", "&usage_expend_status=2", "AND usage = 2 AND usage > 0"),
        filter(
            "third_trade_num, 6 digits",
            "&third_trade_num=T10012",
            "AND third_trade_num <> '' AND third_trade_num >= 'T10012' AND third_trade_num < 'T10013'",
        ),
        filter("number, 4 digits", &of_month.0, &of_month.1),
        filter(
            "state and usage",
            "&state=3&usage_expend_status=2",
            "AND state = 3 AND usage = 2 AND usage > 0",
        ),
    ]
}

/// Ids and numbers carry the time as order-service makes them (`platform::ids`); one order every half minute. The
/// unpaid ones are not due while this is measured.
pub async fn fill(url: &str, orders: u32) -> Result<(), String> {
    let database = Database::connect(url).await.map_err(|e| e.to_string())?;
    let sql = format!(
        "INSERT INTO \"order\".orders (id, number, version, state, fulfil_state, customer_id, nick_name, avatar, mobile, goods_id,
            kind, report_id, title, cover, price_fen, size, total_fen, payment_source, payment_channel, third_trade_num,
            checkout_at, expire_at, paid_at, fulfilled_at, updated_at, read_quota, read_used)
         SELECT (at - 1704067200000) << 12, to_char(to_timestamp(at / 1000.0) AT TIME ZONE 'UTC', 'YYMMDDHH24MISSMS') || '0000', 2,
            state, CASE state WHEN 3 THEN 3 END, 1000 + n % 50000, '客户' || n % 50000, '', (13000000000 + n % 50000)::text, 1,
            'report', 1, '2022全球半导体产业集微分析报告', 'c.png', 9900, 1, 9900, 1 + n % 5, 1 + n % 2,
            CASE state WHEN 3 THEN 'T' || 10000000 + n ELSE '' END, at,
            CASE state WHEN 1 THEN at + 40000000000 ELSE at + 1800000 END,
            CASE state WHEN 3 THEN at + 1000 ELSE 0 END, CASE state WHEN 3 THEN at + 1000 ELSE 0 END, at + 1000,
            CASE state WHEN 3 THEN 3 ELSE 0 END, CASE state WHEN 3 THEN n % 4 ELSE 0 END
         FROM (SELECT n, (extract(epoch FROM now()) * 1000)::bigint - 3600000 - n::bigint * 31000 AS at,
                (CASE WHEN n % 20 = 0 THEN 1 WHEN n % 20 < 4 THEN 2 ELSE 3 END)::smallint AS state
            FROM generate_series(1, {orders}) AS n) AS s"
    );
    for sql in [sql.as_str(), "VACUUM ANALYZE \"order\".orders"] {
        database.execute_unprepared(sql).await.map_err(|e| e.to_string())?;
    }
    database.close().await.map_err(|e| e.to_string())
}
