//! The gateways a client may choose from, as a load balancer keeps them: asked for readiness, taken in turn.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const ASK_EVERY: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
pub struct Doors {
    all: Vec<Door>,
    turn: AtomicUsize,
}

struct Door {
    url: String,
    ready: AtomicBool,
}

impl Doors {
    /// The doors at these addresses, asked for readiness for as long as somebody holds them.
    pub fn watched(addresses: &[SocketAddr], http: &reqwest::Client) -> Arc<Self> {
        let door = |address| Door { url: format!("http://{address}"), ready: AtomicBool::new(true) };
        let doors = Arc::new(Self { all: addresses.iter().map(door).collect(), turn: AtomicUsize::new(0) });
        if addresses.len() > 1 {
            platform::lifecycle::spawn(watch(Arc::downgrade(&doors), http.clone()));
        }
        doors
    }

    /// The next that is ready; if none is, the next.
    pub fn next(&self) -> &str {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut turns = (0..self.all.len()).map(|i| &self.all[first.wrapping_add(i) % self.all.len()]);
        let ready = turns.clone().find(|d| d.ready.load(Ordering::Relaxed));
        ready.or_else(|| turns.next()).map_or("", |d| &d.url)
    }
}

async fn watch(doors: Weak<Doors>, http: reqwest::Client) {
    while let Some(doors) = doors.upgrade() {
        for door in &doors.all {
            let asking = http.get(format!("{}/readyz", door.url)).timeout(ANSWER_WITHIN).send();
            let ready = match asking.await {
                Ok(answer) => answer.status().is_success(),
                // Slow is not away: on a busy machine the last word counts.
                Err(e) if e.is_timeout() => continue,
                Err(_) => false,
            };
            door.ready.store(ready, Ordering::Relaxed);
        }
        drop(doors);
        tokio::time::sleep(ASK_EVERY).await;
    }
}
