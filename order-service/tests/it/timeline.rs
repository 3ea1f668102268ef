//! The timeline: changes from this service, messages and attempts from whoever knows them.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::callbacks::{
    CallbackAnswer, CallbackEntry, CallbackLog, CallbackPlace, CallbackStep, CallbacksUnavailable,
};
use platform::clock::Clock;
use serde_json::{Value, json};
use testing::{App, TestBed};

use crate::{NOW_MS, blamed, entry, order, order_body, paid, service_goods, start_on, supplier_key};

/// A sync-service that tells these entries of every order, or is away.
struct Told {
    entries: Vec<CallbackEntry>,
    mood: AtomicU8,
}

const ANSWERS: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;

impl CallbackLog for Told {
    fn of_order<'a>(&'a self, _: &'a str, after: CallbackPlace, limit: u64) -> CallbackAnswer<'a> {
        Box::pin(async move {
            match self.mood.load(Ordering::Relaxed) {
                FAILS => Err(CallbacksUnavailable("it is away".into())),
                HANGS => pending().await,
                _ => {
                    let behind = self.entries.iter().filter(|e| e.place > after);
                    Ok(behind.take(usize::try_from(limit).unwrap()).cloned().collect())
                }
            }
        })
    }
}

fn told(at: i64, id: i64, step: CallbackStep) -> CallbackEntry {
    let place = CallbackPlace { at, id };
    CallbackEntry { place, order_seq: 1, subscription_id: 4, delivery_id: 90, event_id: "evt_1".into(), step }
}

fn attempt(try_no: i32, http_status: i32) -> CallbackStep {
    let acknowledged = http_status == 200;
    CallbackStep::Attempt {
        try_no,
        duration_ms: 12,
        http_status,
        acknowledged,
        error: if acknowledged { String::new() } else { format!("HTTP {http_status}") },
        next_attempt_at: if acknowledged { 0 } else { NOW_MS + 5_000 },
    }
}

/// A message right after the order was placed and paid, its first try, the next after the third change.
async fn with_callbacks(clock: Clock) -> (TestBed, App, Arc<Told>) {
    let message = CallbackStep::Message { status: "delivered".into() };
    let entries = vec![
        told(NOW_MS + 1, 90, message),
        told(NOW_MS + 2, 91, attempt(1, 500)),
        told(NOW_MS + 5_002, 92, attempt(2, 200)),
    ];
    let told = Arc::new(Told { entries, mood: AtomicU8::new(ANSWERS) });
    let bed = TestBed::with_clock(clock).await;
    let service = order_service::app::build_with(&bed.shared, told.clone()).await.unwrap();
    let app = bed.start(service).await;
    (bed, app, told)
}

async fn timeline(app: &App, number: &str, query: &str) -> Value {
    let path = format!("/api/order/{number}/timeline?{query}");
    app.get(&path).header("accept-language", "en").send().await.expect_status(200).json()["data"].clone()
}

/// What happened, in the order of the column.
fn steps(page: &Value) -> Vec<String> {
    let told = |e: &Value| match e["kind"].as_str().unwrap() {
        "change" => e["event"].as_str().unwrap().to_owned(),
        "message" => format!("message {}", e["status"].as_str().unwrap()),
        "attempt" => format!("attempt {} {}", e["try"], e["http_status"]),
        other => panic!("{other}"),
    };
    page["data"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_tells_who_changed_what_when_and_why() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = paid(&app, &order_body(goods)).await;
    let id = order(&app, &number).await["service_no"].clone();
    clock.advance_ms(1500);
    entry(&app, &format!("a=edit&goods_id={goods}&order_id={id}&apikey={key}&order_state=jxz&start_num=7"))
        .await;
    let asked = app.post(&format!("/api/order/{number}/request")).as_account(5, "小王");
    asked.json(&json!({"kind": "refund", "reason": "太慢"})).send().await.expect_status(200);
    let path = format!("/api/order/{number}/timeline");
    let shown = app.get(&path).send().await.expect_status(200).json();
    let entries = shown["data"]["data"].as_array().unwrap();
    assert_eq!(
        entries.iter().map(|e| e["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["place", "pay", "edit", "ask_refund"]
    );
    assert_eq!((&entries[0]["from_state"], &entries[0]["from_fulfil"]), (&json!(0), &json!("")));
    assert_eq!(
        (&entries[2]["actor"]["kind"], &entries[2]["at"]),
        (&json!("supplier"), &json!(NOW_MS + 1500))
    );
    assert_eq!(
        (&entries[2]["changed"]["start_num"], &entries[2]["to_fulfil"]),
        (&json!([0, 7]), &json!("jxz"))
    );
    assert_eq!((&entries[3]["actor"]["name"], &entries[3]["reason"]), (&json!("小王"), &json!("太慢")));
    assert!(entries.iter().all(|e| e["kind"] == "change"));
    // Nobody said where sync-service is, and the answer says that it lacks something.
    let lacking = &shown["data"]["callbacks"];
    assert_eq!(lacking["available"], false);
    assert!(lacking["reason"].as_str().unwrap().starts_with("sync-service 没有应答"), "{lacking}");
    let first = app.get(&format!("{path}?limit=3")).send().await.json()["data"].clone();
    assert_eq!(first["data"].as_array().unwrap().len(), 3);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("{path}?limit=3&cursor={cursor}")).send().await.json()["data"].clone();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &json!("")));
    app.get("/api/order/1/timeline").send().await.expect_status(404);
    for bad in ["limit=0", "limit=1001", "limit=x", "cursor=3", "cursor=1-2-x", "cursor=1-2-3-4"] {
        let answer = app.get(&format!("{path}?{bad}")).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), [bad.split_once('=').unwrap().0]);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_messages_and_attempts_stand_in_one_column_of_time() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app, _) = with_callbacks(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let number = paid(&app, &order_body(goods)).await;
    clock.advance_ms(3_000);
    let wish = app.post(&format!("/api/order/{number}/request")).json(&json!({"kind": "refund"}));
    wish.send().await.expect_status(200);
    let whole = timeline(&app, &number, "").await;
    let expected = ["place", "pay", "message delivered", "attempt 1 500", "ask_refund", "attempt 2 200"]
        .map(String::from);
    assert_eq!(steps(&whole), expected);
    assert_eq!(
        (&whole["next_cursor"], &whole["callbacks"]),
        (&json!(""), &json!({"available": true, "reason": ""}))
    );
    let attempt = json!({
        "kind": "attempt", "order_seq": 1, "at": NOW_MS + 2, "subscription_id": 4, "delivery_id": 90, "event_id": "evt_1",
        "try": 1, "duration_ms": 12, "http_status": 500, "acknowledged": false, "error": "HTTP 500",
        "next_attempt_at": NOW_MS + 5_000,
    });
    assert_eq!(whole["data"][3], attempt);
    for limit in 1..=6 {
        let (mut cursor, mut column) = (String::new(), Vec::new());
        loop {
            let page = timeline(&app, &number, &format!("limit={limit}&cursor={cursor}")).await;
            column.extend(steps(&page));
            cursor = page["next_cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!(column, expected, "by pages of {limit}");
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_sync_service_the_changes_come_in_time_and_the_rest_when_it_is_back() {
    let (bed, app, sync) = with_callbacks(Clock::manual(NOW_MS)).await;
    let goods = service_goods(&app, json!({})).await;
    let number = paid(&app, &order_body(goods)).await;
    for mood in [FAILS, HANGS] {
        sync.mood.store(mood, Ordering::Relaxed);
        let begun = Instant::now();
        let page = timeline(&app, &number, "").await;
        assert!(begun.elapsed() < Duration::from_secs(10), "it waited {:?}", begun.elapsed());
        assert_eq!(steps(&page), ["place", "pay"]);
        assert_eq!(page["callbacks"]["available"], false);
        let reason = page["callbacks"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("sync-service did not answer"), "{reason}");
    }
    // Away for the first page, back for the second: nothing is lost.
    let first = timeline(&app, &number, "limit=1").await;
    assert_eq!(steps(&first), ["place"]);
    sync.mood.store(ANSWERS, Ordering::Relaxed);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = timeline(&app, &number, &format!("cursor={cursor}")).await;
    assert_eq!(steps(&rest), ["pay", "message delivered", "attempt 1 500", "attempt 2 200"]);
    bed.finish().await;
}

#[test]
fn an_address_of_sync_service_that_cannot_be_one_stops_the_start() {
    let mut settings = platform::settings::Settings::default();
    assert!(order_service::app::check(&settings).is_empty(), "it can do without");
    settings.gateway.upstreams.insert("sync".into(), "http://sync:8080, http://sync:8081".into());
    assert!(order_service::app::check(&settings).is_empty());
    settings.gateway.upstreams.insert("sync".into(), "sync:8080".into());
    assert!(order_service::app::check(&settings)[0].contains("gateway.upstreams.sync"));
}
