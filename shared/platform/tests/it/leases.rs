use platform::{
    clock::Clock,
    db::lease::{self, Holder},
};
use testing::TestBed;

use crate::bench_table::platform;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_has_one_holder_until_it_falls_silent_and_its_fence_rises_when_it_changes_hands() {
    let clock = Clock::manual(1_795_000_000_000);
    let bed = TestBed::with_clock(clock.clone()).await;
    let db = platform(&bed).await.db;
    let (a, b) = (Holder::new("a"), Holder::new("b"));
    let take = async |who: &Holder| lease::take(&db, &clock, "relay", who, 10_000).await.unwrap();
    assert_eq!(take(&a).await, Some(1));
    assert_eq!(take(&b).await, None, "two holders at once");
    assert_eq!(take(&a).await, Some(1), "renewing keeps the fence");
    clock.advance_ms(10_001);
    assert_eq!(take(&b).await, Some(2));
    assert_eq!(take(&a).await, None);
    lease::release(&db, "relay", &a).await.unwrap();
    assert_eq!(take(&a).await, None, "only the holder gives a lease back");
    lease::release(&db, "relay", &b).await.unwrap();
    assert_eq!(take(&a).await, Some(3));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_takers_at_once_get_one_lease_and_fifty_different_nodes_are_not_to_be_had() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let (db, clock) = (platform.db.clone(), platform.clock.clone());
            platform::lifecycle::spawn(async move {
                let holder = Holder::new(&format!("h{i}"));
                let one = lease::take(&db, &clock, "one", &holder, 60_000).await.unwrap();
                (one, lease::take_node(&db, &clock, &holder).await.unwrap())
            })
        })
        .collect();
    let mut holders = 0;
    let mut nodes = Vec::new();
    for task in tasks {
        let (one, node) = task.await.unwrap();
        holders += usize::from(one.is_some());
        nodes.extend(node);
    }
    assert_eq!(holders, 1);
    let taken = nodes.len();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), taken, "a node was given out twice");
    assert_eq!(taken, 31, "the platform of this test holds one of the 32");
    bed.finish().await;
}
