use sync_service::delivery::{jobs, observe::Gauges};
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, change};

impl Fixture {
    /// The value of a series; 0 when it is not there.
    async fn metric(&self, series: &str) -> f64 {
        let page = platform::telemetry::metrics_handle().render();
        let line =
            page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }
}

/// The recorder is the process's: what other tests of it do must not show, so this partner is nobody else's.
const OURS: i64 = 77_001;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_success_time_and_what_waits_by_partner() {
    platform::telemetry::metrics_handle();
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let body = serde_json::json!({"partner_id": OURS, "url": receiver.url("/")});
    f.subscribe_with(body).await;
    let ours = |order: i64, seq: i64| {
        let mut change = change(order, seq);
        change.order.partner_id = OURS;
        change
    };
    receiver.answer_next([Reply::new(200, "ok"), Reply::new(500, "no")]);
    f.publish(&[ours(1, 1), ours(1, 2), ours(2, 1)]).await;
    let mut gauges = Gauges::default();
    f.after_ms(90_000);
    jobs::measure(&f.ctx, &mut gauges).await.unwrap();
    let of = |name: &str, more: &str| format!("{name}{{partner=\"{OURS}\"{more}}}");
    assert_eq!(f.metric(&of("callback_waiting", "")).await, 3.0);
    assert_eq!(f.metric(&of("callback_oldest_seconds", "")).await, 90.0);
    f.send().await;
    let counted = async |outcome: &str| {
        f.metric(&of("callback_attempts_total", &format!(",outcome=\"{outcome}\""))).await
    };
    // One of the first two is refused and waits; its order's next waits behind it.
    assert_eq!(counted("refused").await, 1.0);
    let acknowledged = counted("acknowledged").await;
    assert!((1.0..=2.0).contains(&acknowledged), "{acknowledged}");
    assert_eq!(f.metric(&of("callback_delivery_seconds_count", "")).await, acknowledged);
    assert_eq!(f.metric(&of("callback_attempt_seconds_count", "")).await, acknowledged + 1.0);
    f.after_ms(60_000);
    f.send().await;
    assert_eq!(counted("acknowledged").await, 3.0);
    jobs::measure(&f.ctx, &mut gauges).await.unwrap();
    assert_eq!(f.metric(&of("callback_waiting", "")).await, 0.0, "back to 0 when nothing is left");
    assert_eq!(f.metric(&of("callback_oldest_seconds", "")).await, 0.0);
    f.bed.finish().await;
}
