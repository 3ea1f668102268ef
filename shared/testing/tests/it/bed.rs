use std::{future::Future, sync::atomic::Ordering, time::Duration};

use contracts::events::{PartnerChanged, ReportChanged};
use platform::quota::Window;
use testing::{Mode, TestBed, wait_until};

use crate::mini::{self, Count};

/// The message a test would fail with.
async fn failure(test: impl Future<Output = ()> + Send + 'static) -> String {
    let panic = platform::lifecycle::spawn(test).await.expect_err("the test fails").into_panic();
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a message")).to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_flow_between_the_services_of_a_bed() {
    let bed = TestBed::new().await;
    let (orders, partners) = (Count::default(), Count::default());
    let report = bed.start(mini::report(&bed.shared).await).await;
    bed.start(mini::order(&bed.shared, &orders).await).await;
    bed.start(mini::sync(&bed.shared, &partners).await).await;
    report.post("/api/report/7").send().await.expect_status(200);
    wait_until("sync hears of it", async || partners.load(Ordering::SeqCst) == 1).await;
    assert_eq!(bed.published::<PartnerChanged>(1).await[0].name, "报告 7");
    let kinds: Vec<String> = bed.events().await.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["report.changed", "partner.changed"]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finish_waits_for_everything_under_way() {
    let bed = TestBed::new().await;
    let (orders, partners) = (Count::default(), Count::default());
    let report = bed.start(mini::report(&bed.shared).await).await;
    bed.start(mini::order(&bed.shared, &orders).await).await;
    bed.start(mini::sync(&bed.shared, &partners).await).await;
    for id in 0..40 {
        report.post(&format!("/api/report/{id}")).send().await.expect_status(200);
    }
    bed.finish().await;
    assert_eq!((orders.load(Ordering::SeqCst), partners.load(Ordering::SeqCst)), (40, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_can_speak_for_another_service() {
    let bed = TestBed::new().await;
    let handled = Count::default();
    bed.start(mini::order(&bed.shared, &handled).await).await;
    let event = bed.event(&mini::report_changed(3));
    let other = bed.event_about("4", &mini::report_changed(4));
    bed.publish(&[event.clone(), other]).await;
    bed.publish(&[event]).await; // a repeat, which the inbox drops
    bed.settle().await;
    assert_eq!(handled.load(Ordering::SeqCst), 2);
    assert_eq!(bed.published::<ReportChanged>(3).await.len(), 3);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_event_fails_the_test() {
    let message = failure(async {
        let bed = TestBed::new().await;
        bed.start(mini::order(&bed.shared, &Count::default()).await).await;
        bed.publish(&[bed.event(&mini::report_changed(-1))]).await;
        bed.finish().await;
    })
    .await;
    assert!(message.contains("1 events were parked where 0 were expected"), "{message}");
    assert!(message.contains("no report has a negative id"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_parked_on_purpose_must_be_parked() {
    let bed = TestBed::new().await;
    bed.start(mini::order(&bed.shared, &Count::default()).await).await;
    bed.publish(&[bed.event(&mini::report_changed(-1))]).await;
    bed.expect_parked(1);
    bed.finish().await;
    let message = failure(async {
        let bed = TestBed::new().await;
        bed.start(mini::order(&bed.shared, &Count::default()).await).await;
        bed.expect_parked(1);
        bed.finish().await;
    })
    .await;
    assert!(message.contains("0 events were parked where 1 were expected"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_does_not_empty_fails_the_test() {
    let message = failure(async {
        let mut bed = TestBed::new().await;
        let report = bed.start_without(&["report-outbox-relay"], mini::report(&bed.shared).await).await;
        report.post("/api/report/1").send().await.expect_status(200);
        bed.impatient(Duration::from_millis(300));
        bed.finish().await;
    })
    .await;
    assert!(message.contains("the outbox of report holds 1 report.changed"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_nobody_handles_in_time_fails_the_test() {
    if Mode::current() == Mode::Embedded {
        // No queue stands between publishing and handling: `publish` returns when it is handled.
        let bed = TestBed::new().await;
        let handled = Count::default();
        bed.start(mini::order(&bed.shared, &handled).await).await;
        bed.publish(&[bed.event(&mini::report_changed(1))]).await;
        assert_eq!(handled.load(Ordering::SeqCst), 1);
        bed.finish().await;
        return;
    }
    let message = failure(async {
        let mut bed = TestBed::new().await;
        let order = mini::order(&bed.shared, &Count::default()).await;
        bed.start_without(&["consume-order.reports"], order).await;
        bed.publish(&[bed.event(&mini::report_changed(1))]).await;
        bed.impatient(Duration::from_millis(300));
        bed.finish().await;
    })
    .await;
    assert!(message.contains("order.reports has not handled evt_t"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bed_without_finish_fails_the_test() {
    let message = failure(async {
        let bed = TestBed::new().await;
        bed.start(mini::report(&bed.shared).await).await;
    })
    .await;
    assert!(message.contains("without finish()"), "{message}");
    let message = failure(async {
        let _bed = TestBed::new().await;
        panic!("the test's own failure");
    })
    .await;
    assert_eq!(message, "the test's own failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_out_a_worker_that_is_not_there_fails_the_test() {
    let message = failure(async {
        let bed = TestBed::new().await;
        bed.start_without(&["no-such-worker"], mini::report(&bed.shared).await).await;
    })
    .await;
    assert!(message.contains("no-such-worker") && message.contains("report-outbox-relay"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_beds_share_nothing() {
    let (one, other) = (TestBed::new().await, TestBed::new().await);
    let (ones, others) = (Count::default(), Count::default());
    one.start(mini::order(&one.shared, &ones).await).await;
    other.start(mini::order(&other.shared, &others).await).await;
    one.publish(&[one.event(&mini::report_changed(1))]).await;
    one.settle().await;
    other.settle().await;
    assert_eq!((ones.load(Ordering::SeqCst), others.load(Ordering::SeqCst)), (1, 0));
    assert!(other.events().await.is_empty());
    let window = [Window::new(1, 60)];
    for bed in [&one, &other] {
        assert!(bed.shared.quota.take("same key", &window, 1).await.unwrap().is_admitted());
        assert!(!bed.shared.quota.take("same key", &window, 1).await.unwrap().is_admitted());
    }
    assert_ne!(one.folder(), other.folder());
    one.finish().await;
    other.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_stopped_goes_on_where_it_was() {
    let bed = TestBed::new().await;
    let report = bed.start_without(&["report-outbox-relay"], mini::report(&bed.shared).await).await;
    report.post("/api/report/1").send().await.expect_status(200);
    report.stop().await;
    report.get("/api/whoami").try_send().await.unwrap_err();
    assert!(bed.events().await.is_empty());
    let again = bed.start(mini::report(&bed.shared).await).await;
    again.post("/api/report/2").send().await.expect_status(200);
    let ids: Vec<i64> = bed.published::<ReportChanged>(2).await.iter().map(|r| r.id).collect();
    assert_eq!(ids, [1, 2]);
    bed.finish().await;
}
