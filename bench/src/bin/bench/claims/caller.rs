//! Suppliers' programs.

use std::{collections::HashSet, time::Instant};

use futures_util::future::try_join_all;
use platform::http::{OutgoingSettings, outgoing};

/// One program of a supplier, for one goods.
#[derive(Clone)]
pub struct Supplier {
    http: reqwest::Client,
    address: String,
}

impl Supplier {
    pub fn new(base: &str, goods: i64, key: &str) -> Result<Self, String> {
        let limits = OutgoingSettings { total_timeout_seconds: 120, ..OutgoingSettings::default() };
        let http = outgoing(&limits).build().map_err(|e| e.to_string())?;
        let address = format!(
            "{base}/admin_jiuwuxiaohun.php?m=home&c=api&a=down_orders&format=json&goods_id={goods}&apikey={key}"
        );
        Ok(Self { http, address })
    }

    /// Sends a call; the answer's body is still to come.
    pub async fn call(&self, more: &str) -> Result<reqwest::Response, String> {
        let answer = self.http.get(format!("{}{more}", self.address)).send().await;
        answer.map_err(|e| e.without_url().to_string())
    }

    /// The orders of one call.
    pub async fn orders(&self, more: &str) -> Result<Vec<i64>, String> {
        let text = self.call(more).await?.text().await.map_err(|e| e.without_url().to_string())?;
        if !text.starts_with("{\"status\":true") {
            return Err(format!("down_orders was refused: {}", &text[..text.len().min(300)]));
        }
        Ok(ids(&text))
    }

    /// So many callers take what waits, page by page; orders a second. Each order must come exactly once.
    pub async fn claim_all(&self, callers: usize, batch: u64, orders: u64) -> Result<f64, String> {
        let started = Instant::now();
        let more = format!("&state=wks&page=1&sort_type=asc&page_size={batch}");
        let working = (0..callers).map(|_| async {
            let mut got = Vec::new();
            loop {
                let some = self.orders(&more).await?;
                if some.is_empty() {
                    return Ok::<_, String>(got);
                }
                got.extend(some);
            }
        });
        let got: Vec<i64> = try_join_all(working).await?.into_iter().flatten().collect();
        let seconds = started.elapsed().as_secs_f64();
        let different: HashSet<i64> = got.iter().copied().collect();
        if got.len() as u64 != orders || different.len() != got.len() {
            return Err(format!("{} orders came, {} different, of {orders}", got.len(), different.len()));
        }
        Ok(orders as f64 / seconds)
    }
}

/// The `id` of each row, found without reading the rest.
fn ids(text: &str) -> Vec<i64> {
    let found = text.split("\"id\":\"").skip(1);
    found.filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_rows() {
        let text = r#"{"status":true,"rows":[{"id":"7","user_id":"8"},{"id":"9","goods_id":"1"}],"total":2}"#;
        assert_eq!(ids(text), [7, 9]);
        assert!(ids(r#"{"status":true,"rows":[],"total":0}"#).is_empty());
    }
}
