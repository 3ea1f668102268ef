//! One line per request, with what one searches by and without what nobody may read.

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::Value;
use testing::wait_until;

use crate::support::{Bed, Mode, token};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything this process logs, at every level.
fn captured() -> Captured {
    static ONCE: OnceLock<Captured> = OnceLock::new();
    ONCE.get_or_init(|| {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("no other subscriber");
        captured
    })
    .clone()
}

fn text(captured: &Captured) -> String {
    String::from_utf8_lossy(&captured.0.lock().unwrap()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_line_tells_who_what_and_how_and_no_secret() {
    let captured = captured();
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let id = format!("log-{mode:?}");
        let secret = token(1);
        let asked = bed
            .get("/admin_jiuwuxiaohun.php?m=home&c=api&a=down_orders&apikey=S3CR3T&goods_id=7&sign=S3CR3T")
            .header("x-request-id", &id)
            .header("authorization", "S3CR3T-key")
            .send()
            .await
            .unwrap();
        assert_eq!(asked.status().as_u16(), 200);
        let known = bed
            .get("/api/report?title=a&token=S3CR3T")
            .bearer_auth(&secret)
            .header("x-request-id", format!("{id}-2"));
        assert_eq!(known.send().await.unwrap().status().as_u16(), 200);
        let lost = bed.get("/api/lost?password=S3CR3T").header("x-request-id", format!("{id}-3"));
        assert_eq!(lost.send().await.unwrap().status().as_u16(), 404);
        let lines = wait_until("three lines", async || {
            let lines: Vec<Value> = text(&captured)
                .lines()
                .filter_map(|l| serde_json::from_str::<Value>(l).ok())
                .filter(|l| {
                    l["target"] == "gateway::access"
                        && l["request_id"].as_str().is_some_and(|i| i.starts_with(&id))
                })
                .collect();
            (lines.len() >= 3).then_some(lines)
        })
        .await;
        assert_eq!(lines.len(), 3, "one line per request");
        let by_route =
            |route: &str| lines.iter().find(|l| l["route"] == route).unwrap_or_else(|| panic!("{lines:?}"));
        let shop = by_route("SUPPLIER_ENTRY_GET");
        assert_eq!(
            (&shop["method"], &shop["path"], &shop["status"], &shop["account_id"], &shop["level"]),
            (&"GET".into(), &"/admin_jiuwuxiaohun.php".into(), &200.into(), &0.into(), &"INFO".into())
        );
        assert_eq!(shop["query"], "m=home&c=api&a=down_orders&apikey=***&goods_id=7&sign=***");
        assert_eq!(
            (&by_route("PAYMENT_REPORT_LIST")["account_id"], &by_route("none")["status"]),
            (&1.into(), &404.into())
        );
        assert!(shop["ms"].is_number() && shop["ip"] == "127.0.0.1");
        let all = text(&captured);
        // reqwest and hyper log the test's own side; what matters is what the gateway says.
        let own: String = all.lines().filter(|l| l.contains("\"target\":\"gateway")).collect();
        assert!(!own.contains("S3CR3T") && !own.contains(&secret), "{own}");
        assert!(!own.contains("x-baodan-internal"));
    }
}
