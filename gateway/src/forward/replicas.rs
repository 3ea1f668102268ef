//! The replicas of one service: which of them get requests. They are asked for `/readyz` when there is more than
//! one, so that a replica that starts, stops or hangs is passed over before a request meets it.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::routes::ServiceName;
use futures_util::future::join_all;
use platform::{
    http::{OutgoingSettings, outgoing},
    lifecycle::{Turn, Worker},
    service::StartError,
    settings::UpstreamAddress,
};

use crate::config::Upstream;

/// How often replicas are asked. A service that stops goes on serving for longer than this
/// (`drain_seconds`), so that none of its requests is refused.
const ASK_EVERY: Duration = Duration::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// One service. Shared by all workers.
pub(crate) struct Replicas {
    pub service: ServiceName,
    all: Vec<Replica>,
    turn: AtomicUsize,
}

struct Replica {
    address: UpstreamAddress,
    state: AtomicU8,
}

/// Nobody accepts connections.
const GONE: u8 = 0;
/// Somebody is there, and says that it is not ready, or is too slow to say anything.
const THERE: u8 = 1;
const READY: u8 = 2;

impl Replicas {
    pub fn new(upstream: Upstream) -> Arc<Self> {
        // Taken for ready until it is known better: a gateway that has just started turns nobody away.
        let replica = |address| Replica { address, state: AtomicU8::new(READY) };
        Arc::new(Self {
            service: upstream.service,
            all: upstream.addresses.into_iter().map(replica).collect(),
            turn: AtomicUsize::new(0),
        })
    }

    pub fn addresses(&self) -> impl ExactSizeIterator<Item = &UpstreamAddress> {
        self.all.iter().map(|r| &r.address)
    }

    /// The next in turn of those that are ready; when none is, of those that are there at all: on a busy machine one
    /// that was slow to say so may be ready for all that; when nobody is there, of all.
    pub fn next(&self) -> usize {
        if self.all.len() == 1 {
            return 0;
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let turns = (0..self.all.len()).map(|i| (first.wrapping_add(i)) % self.all.len());
        let state = |i: &usize| self.all[*i].state.load(Ordering::Relaxed);
        // Of equals the first: `min_by_key` keeps the order of turns.
        turns.min_by_key(|i| READY - state(i)).unwrap_or_default()
    }

    pub fn anybody_there(&self) -> bool {
        self.all.iter().any(|r| r.state.load(Ordering::Relaxed) != GONE)
    }

    /// Nobody accepts connections there: it is passed over until it says that it is ready.
    pub fn refused(&self, index: usize) {
        if self.all.len() > 1 {
            self.tell(&self.all[index], GONE);
        }
    }

    fn tell(&self, replica: &Replica, state: u8) {
        if replica.state.swap(state, Ordering::Relaxed) != state {
            let (service, address) = (self.service.as_str(), replica.address.authority());
            match state == READY {
                true => tracing::info!(service, address, "a replica is ready and gets requests"),
                false => tracing::info!(service, address, "a replica is not ready and gets no requests"),
            }
        }
    }

    async fn ask(&self, client: &reqwest::Client) {
        join_all(self.all.iter().map(async |replica| {
            let url = format!("http://{}/readyz", replica.address.authority());
            let state = match client.get(url).send().await {
                Ok(answer) if answer.status().is_success() => READY,
                Err(e) if e.is_connect() && !e.is_timeout() => GONE,
                _ => THERE,
            };
            self.tell(replica, state);
        }))
        .await;
    }
}

/// The worker that asks; `None` when every service has one address and there is nothing to choose.
pub(crate) fn watch(services: &[Arc<Replicas>]) -> Result<Option<Worker>, StartError> {
    let several: Vec<_> = services.iter().filter(|s| s.all.len() > 1).cloned().collect();
    if several.is_empty() {
        return Ok(None);
    }
    let seconds = ANSWER_WITHIN.as_secs();
    let limits =
        OutgoingSettings { connect_timeout_seconds: seconds, total_timeout_seconds: seconds, resolver: None };
    let client = outgoing(&limits)
        .build()
        .map_err(|e| StartError::Settings(format!("the client for replicas cannot be made: {e}")))?;
    Ok(Some(Worker::job("replica-watch", ASK_EVERY, None, move || {
        let (several, client) = (several.clone(), client.clone());
        async move {
            join_all(several.iter().map(|service| service.ask(&client))).await;
            Ok::<_, Infallible>(Turn::Idle)
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Arc<Replicas> {
        let addresses = (1..=3).map(|port| UpstreamAddress { host: "127.0.0.1".into(), port }).collect();
        Replicas::new(Upstream { service: ServiceName::Order, addresses })
    }

    #[test]
    fn ready_replicas_take_turns_and_others_are_passed_over() {
        let replicas = three();
        let taken = |n: usize| (0..n).map(|_| replicas.next()).collect::<Vec<_>>();
        assert_eq!(taken(4), [0, 1, 2, 0]);
        replicas.refused(1);
        assert!(!taken(6).contains(&1));
        // None is ready, two are there: the third is still passed over.
        replicas.tell(&replicas.all[0], THERE);
        replicas.tell(&replicas.all[2], THERE);
        assert!(!taken(6).contains(&1));
        assert!(replicas.anybody_there());
    }

    #[test]
    fn when_nobody_is_there_all_are_tried() {
        let replicas = three();
        (0..3).for_each(|i| replicas.refused(i));
        assert!(!replicas.anybody_there());
        let mut taken: Vec<usize> = (0..3).map(|_| replicas.next()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2]);
    }
}
