//! A bed with sync-service on it, whose sender is run by hand on a clock of the test's own.

use std::sync::Arc;

use contracts::{event::Event, events::OrderStateChanged};
use platform::clock::Clock;
use reqwest::dns::Resolve;
use serde_json::{Value, json};
use sync_service::{
    Ctx, app,
    delivery::{
        engine::{Engine, WORKER},
        guard::SystemNames,
    },
};
use testing::{App, CallbackReceiver, Received, TestBed};

/// 2026-11-21, some time in the morning.
pub const START_MS: i64 = 1_795_222_800_000;
pub const PARTNER: i64 = 5;

pub struct Fixture {
    pub bed: TestBed,
    pub app: App,
    pub ctx: Ctx,
    pub clock: Clock,
}

impl Fixture {
    /// On a manual clock, without the sender's worker. Callbacks may reach these receivers.
    pub async fn new(receivers: &[&CallbackReceiver]) -> Self {
        let allow: Vec<String> = receivers.iter().map(|r| r.address().to_string()).collect();
        Self::with(&allow.join(","), Arc::new(SystemNames)).await
    }

    pub async fn with(allow: &str, names: Arc<dyn Resolve>) -> Self {
        let clock = Clock::manual(START_MS);
        let bed = TestBed::with(clock.clone(), |s| s.callback_allow = allow.to_owned()).await;
        let (service, ctx) = app::build_with(&bed.shared, names).await.expect("sync-service");
        let app = bed.start_without(&[WORKER], service).await;
        Self { bed, app, ctx, clock }
    }

    /// As in production: the system's clock, the worker at work.
    pub async fn running(receivers: &[&CallbackReceiver]) -> Self {
        let allow: Vec<String> = receivers.iter().map(|r| r.address().to_string()).collect();
        let clock = Clock::system();
        let bed = TestBed::with(clock.clone(), |s| s.callback_allow = allow.join(",")).await;
        let (service, ctx) = app::build_with(&bed.shared, Arc::new(SystemNames)).await.expect("sync-service");
        let app = bed.start(service).await;
        Self { bed, app, ctx, clock }
    }

    /// A subscription of [`PARTNER`], all defaults; its id and secret.
    pub async fn subscribe(&self, url: &str) -> (i64, String) {
        self.subscribe_with(json!({"partner_id": PARTNER, "url": url})).await
    }

    pub async fn subscribe_with(&self, body: Value) -> (i64, String) {
        let made =
            self.app.post("/api/callback/subscription").json(&body).send().await.expect_status(200).json();
        (made["data"]["id"].as_i64().unwrap(), made["data"]["secret"].as_str().unwrap().to_owned())
    }

    /// The changes come in, in this order, and are taken by the consumer.
    pub async fn publish(&self, changes: &[OrderStateChanged]) -> Vec<Event> {
        let events: Vec<Event> = changes.iter().map(|c| self.bed.event_about(&c.order.number, c)).collect();
        self.bed.publish(&events).await;
        self.bed.settle().await;
        events
    }

    /// The sender sends what is due.
    pub async fn send(&self) {
        self.ctx.engine.run_once().await.expect("the engine");
    }

    /// Another sender on the same database, as another replica has it.
    pub async fn another_sender(&self) -> Engine {
        Engine::new(&self.ctx.platform, Arc::new(SystemNames)).await.expect("an engine")
    }

    pub fn after_ms(&self, ms: i64) {
        self.clock.advance_ms(ms);
    }

    /// The deliveries that match this query, newest first.
    pub async fn deliveries(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/callback/delivery?limit=1000&{query}");
        let list = self.app.get(&path).send().await.expect_status(200).json();
        list["data"]["data"].as_array().unwrap().clone()
    }

    pub async fn detail(&self, id: &Value) -> Value {
        self.app.get(&format!("/api/callback/delivery/{id}")).send().await.expect_status(200).json()["data"]
            .clone()
    }
}

/// A change of order `order` of [`PARTNER`], its `seq`-th.
pub fn change(order: i64, seq: i64) -> OrderStateChanged {
    let change = json!({
        "order": {
            "id": order, "number": number(order), "outer_id": format!("outer-{order}"), "partner_id": PARTNER,
            "distributor_id": 0,
            "customer": {"id": 3, "nick_name": "张三丰", "avatar": "", "mobile": "18434819907"},
            "goods": {"id": 9, "kind": "report", "title": "行业报告", "report_id": 4, "cover": "", "price_fen": 1990},
            "size": 1, "total_fen": 1990, "refund_fen": 0, "refund_due_fen": 0, "state": if seq == 1 { 1 } else { 3 },
            "fulfil_state": null,
            "payment": {"source": 1, "channel": 1, "third_trade_num": "", "third_trade_identity": ""},
            "checkout_at": START_MS, "expire_at": 0, "paid_at": 0, "fulfilled_at": 0, "updated_at": START_MS,
            "start_num": 0, "now_num": 0, "end_num": 0, "remark": "",
        },
        "previous": {"state": if seq == 1 { Value::Null } else { json!(1) }, "fulfil_state": null},
        "event": if seq == 1 { "place" } else { "pay" }, "order_seq": seq,
        "actor": {"kind": "system", "id": 0, "name": "test"}, "reason": "",
    });
    serde_json::from_value(change).expect("a change")
}

pub fn number(order: i64) -> String {
    format!("2026112100{order:08}")
}

/// (order, order_seq) of callbacks of the standard dialect, in order of arrival.
pub fn arrived(received: &[Received]) -> Vec<(i64, i64)> {
    received
        .iter()
        .map(|r| {
            let data = &r.json()["data"];
            let number = data["number"].as_str().unwrap();
            (number[10..].parse().unwrap(), data["order_seq"].as_i64().unwrap())
        })
        .collect()
}

/// The states of deliveries by (order_seq, status), lowest first.
pub fn states(deliveries: &[Value]) -> Vec<(i64, String)> {
    let mut states: Vec<(i64, String)> = deliveries
        .iter()
        .map(|d| (d["order_seq"].as_i64().unwrap(), d["status"].as_str().unwrap().to_owned()))
        .collect();
    states.sort();
    states
}
