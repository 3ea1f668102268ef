//! Two of every process: one after the other is restarted under load, and nobody notices.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use platform::lifecycle;
use testing::{CallbackReceiver, Mode, wait_at_most, wait_until};

use crate::{
    crash::{Shop, arrived},
    system::{GATEWAY, System},
};

/// Clients under way at once.
const CLIENTS: usize = 3;
/// Twice as long as it takes a gateway to notice that a replica is not ready any more.
const DRAIN_SECONDS: &str = "1";

/// The gateways as a load balancer has them: one that is about to be restarted is taken out first.
struct Doors {
    shops: [Shop; 2],
    /// Which is taken out, and how many are inside of each.
    state: Mutex<(Option<usize>, [usize; 2])>,
}

impl Doors {
    fn enter(&self, turn: usize) -> usize {
        let mut state = self.state.lock().unwrap();
        let door = state.0.map_or(turn % 2, |closed| 1 - closed);
        state.1[door] += 1;
        door
    }

    fn leave(&self, door: usize) {
        self.state.lock().unwrap().1[door] -= 1;
    }

    fn take_out(&self, door: Option<usize>) {
        self.state.lock().unwrap().0 = door;
    }

    fn inside(&self, door: usize) -> usize {
        self.state.lock().unwrap().1[door]
    }
}

/// Places and pays orders until told to stop; a request that is not answered with 200 fails the test.
async fn order(doors: Arc<Doors>, goods: i64, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut numbers = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let door = doors.enter(numbers.len());
        numbers.push(doors.shops[door].paid_order(goods).await);
        doors.leave(door);
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_refuses_and_loses_nothing() {
    if Mode::current() == Mode::Embedded {
        return; // everything in one process has no second
    }
    let mut system = System::replicated(2, &[("BAODAN_DRAIN_SECONDS", DRAIN_SECONDS)]).await;
    let receiver = CallbackReceiver::start_on(system.inbox_port).await;
    let gateways = system.places(GATEWAY);
    let shops =
        [Shop::sign_in(&system.url_of(gateways[0])).await, Shop::sign_in(&system.url_of(gateways[1])).await];
    let goods = shops[0].subscribed_goods(system.inbox_port).await;
    let doors = Arc::new(Doors { shops, state: Mutex::default() });
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| lifecycle::spawn(order(Arc::clone(&doors), goods, Arc::clone(&stop)))).collect();
    for service in ["order-service", "sync-service", "auth-service"] {
        for place in system.places(service) {
            system.restart(place).await;
        }
    }
    for (door, place) in gateways.into_iter().enumerate() {
        doors.take_out(Some(door));
        wait_until("its requests to be through", async || doors.inside(door) == 0).await;
        system.restart(place).await;
        doors.take_out(None);
    }
    stop.store(true, Ordering::SeqCst);
    let mut numbers = Vec::new();
    for client in clients {
        numbers.extend(client.await.expect("every request answered with 200"));
    }
    assert!(!numbers.is_empty());
    wait_at_most(Duration::from_secs(60), "every change to be delivered", async || {
        let arrived = arrived(&receiver);
        numbers.iter().all(|n| arrived.iter().any(|(number, seq)| number == n && *seq == 2))
    })
    .await;
    for number in &numbers {
        let sequence: Vec<i64> =
            arrived(&receiver).into_iter().filter(|(n, _)| n == number).map(|(_, seq)| seq).collect();
        assert_eq!(sequence, [1, 2], "{number}: in order, and once, since nobody died");
    }
    system.stop().await;
}
