//! What is told about each request: one log line, and rate, errors and duration by route name. Raw paths never
//! become labels. Handles of metrics are made once per worker.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use actix_web::{
    dev::ServiceRequest,
    http::{Method, StatusCode, Uri},
};
use contracts::routes::{Dialect, Route};
use metrics::{Counter, Histogram};
use platform::{seal::random_bytes, telemetry::redact_query};

use crate::{
    forward::headers::{self, PageKind},
    limits::Client,
};

/// The facts of one request, for the log, the metrics and its errors.
pub(crate) struct Visit {
    pub id: String,
    pub method: Method,
    pub uri: Uri,
    pub client: Client,
    /// The client's address as text, for the log and for the service.
    pub ip: String,
    pub dialect: Dialect,
    /// Index in the table, once it is found.
    pub route: Option<usize>,
    pub account_id: i64,
    pub kind: PageKind,
    /// Not worth a line: a probe.
    pub quiet: bool,
    started: Instant,
}

impl Visit {
    pub fn begin(req: &ServiceRequest, ids: &RequestIds, client: Client) -> Self {
        Self {
            id: headers::request_id(req.headers()).map_or_else(|| ids.make(), str::to_owned),
            method: req.method().clone(),
            uri: req.uri().clone(),
            client,
            ip: client.ip.to_string(),
            dialect: Dialect::Admin,
            route: None,
            account_id: 0,
            kind: PageKind::Data,
            quiet: false,
            started: Instant::now(),
        }
    }
}

/// Request ids of one worker: a random half and a counter that is scrambled, so that ids tell nobody how many
/// requests there are. Cheaper than asking the system for 16 random bytes each time.
pub(crate) struct RequestIds {
    worker: u64,
    count: Cell<u64>,
}

impl RequestIds {
    pub fn new() -> Self {
        Self {
            worker: u64::from_le_bytes(random_bytes()),
            count: Cell::new(u64::from_le_bytes(random_bytes())),
        }
    }

    fn make(&self) -> String {
        let count = self.count.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.count.set(count);
        // The finaliser of SplitMix64: a bijection, so ids of one worker never repeat.
        let mut mixed = (count ^ (count >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        format!("{:016x}{mixed:016x}", self.worker)
    }
}

/// One worker's meters.
pub(crate) struct Observer {
    routes: Vec<Meter>,
    other: Meter,
}

struct Meter {
    name: &'static str,
    seconds: Histogram,
    answered: RefCell<Vec<(StatusCode, Counter)>>,
}

impl Meter {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            seconds: metrics::histogram!("gateway_request_seconds", "route" => name),
            answered: RefCell::default(),
        }
    }

    fn count(&self, status: StatusCode, seconds: f64) {
        self.seconds.record(seconds);
        let mut answered = self.answered.borrow_mut();
        if let Some((_, counter)) = answered.iter().find(|(s, _)| *s == status) {
            counter.increment(1);
            return;
        }
        let counter = metrics::counter!(
            "gateway_requests_total", "route" => self.name, "status" => status.as_str().to_owned()
        );
        counter.increment(1);
        answered.push((status, counter));
    }
}

impl Observer {
    pub fn new(routes: &[&'static Route]) -> Self {
        Self { routes: routes.iter().map(|r| Meter::new(r.name)).collect(), other: Meter::new("none") }
    }

    /// Counts and logs an answered request; the time is that until the answer's head was ready.
    pub fn answered(&self, visit: &Visit, status: StatusCode) {
        let elapsed = visit.started.elapsed();
        let meter = visit.route.map_or(&self.other, |index| &self.routes[index]);
        meter.count(status, elapsed.as_secs_f64());
        if visit.quiet {
            return;
        }
        tracing::info!(
            target: "gateway::access",
            request_id = visit.id,
            method = visit.method.as_str(),
            path = &*redact_query(visit.uri.path()),
            query = &*redact_query(visit.uri.query().unwrap_or_default()),
            status = status.as_u16(),
            ms = elapsed.as_micros() as f64 / 1000.0,
            route = meter.name,
            account_id = visit.account_id,
            ip = visit.ip,
            "request answered"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use platform::http::context::is_request_id;

    use super::*;

    #[test]
    fn ids_are_ids_and_never_the_same() {
        let ids = RequestIds::new();
        let made: HashSet<String> = (0..10_000).map(|_| ids.make()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.len() == 32 && is_request_id(id)));
    }
}
