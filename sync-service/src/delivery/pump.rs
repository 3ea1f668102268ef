//! The loop of the engine (see `engine`): what it holds, and what it does when something happens.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use platform::{
    db::is_transient,
    lifecycle::{self, Turn},
    seal,
};
use sea_orm::DbErr;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    claim::{self, Claimed, Later, Request},
    engine::{Inner, Sent},
    lane::{Job, Lane},
    lanes::Lanes,
    observe::Meters,
    record::{self, Batch, Outcome},
    rules::Verdict,
    store::{Held, Want},
    target::Target,
};

/// Nets under the wake-ups: other replicas' changes of subscriptions, and (a look at each one's queue) their rows.
const POLL_MS: i64 = 500;
const SCAN_MS: i64 = 2_500;
/// Results are written when there are so many, or the oldest has waited so long.
const RECORD_AT: usize = 256;
const RECORD_LINGER: Duration = Duration::from_millis(20);
/// With so many results unwritten (the database is away) nothing more is sent.
const MOST_UNWRITTEN: usize = 10_000;
/// Rows of one claim, and subscriptions it names.
const CLAIM_ROWS: usize = 1_000;
const CLAIM_LANES: usize = 100;

pub(super) struct Pump {
    lanes: Lanes,
    most_in_flight: usize,
    most_per_lane: usize,
    in_flight: usize,
    report: mpsc::UnboundedSender<Sent>,
    sent: mpsc::UnboundedReceiver<Sent>,
    outcomes: Vec<Outcome>,
    oldest_outcome: Option<Instant>,
    unused: Vec<Held>,
    breakers: HashMap<i64, i64>,
    health: HashMap<i64, i64>,
    meters: Meters,
    /// The batch being written; kept until it is.
    writing: Batch,
    next_reload: i64,
    next_scan: i64,
    last_update: i64,
    did_something: bool,
}

impl Pump {
    pub fn new(most_in_flight: usize, most_per_lane: usize) -> Self {
        let (report, sent) = mpsc::unbounded_channel();
        Self {
            lanes: Lanes::default(),
            most_in_flight,
            most_per_lane,
            in_flight: 0,
            report,
            sent,
            outcomes: Vec::new(),
            oldest_outcome: None,
            unused: Vec::new(),
            breakers: HashMap::new(),
            health: HashMap::new(),
            meters: Meters::default(),
            writing: Batch::default(),
            next_reload: 0,
            next_scan: 0,
            last_update: 0,
            did_something: false,
        }
    }

    /// Runs until told to stop, or (without `stop`) until nothing is due. An error leaves everything in place for
    /// the next run.
    pub async fn run(&mut self, inner: &Arc<Inner>, stop: Option<&CancellationToken>) -> Result<Turn, DbErr> {
        self.next_scan = 0;
        self.did_something = false;
        inner.stale.store(true, Ordering::SeqCst);
        let mut claiming: Option<Later<Claimed>> = None;
        let mut recording: Option<Later<Vec<Job>>> = None;
        loop {
            let stopping = stop.is_some_and(CancellationToken::is_cancelled);
            let now = inner.platform.clock.now_ms();
            self.take_handoffs(inner, now);
            if stopping {
                self.give_back(inner);
            } else {
                self.lanes.ring(now);
                self.dispatch(inner, now);
            }
            if recording.is_none() && self.should_record(stop.is_none() || stopping) {
                recording = Some(self.record(inner, now));
            }
            if claiming.is_none() && !stopping {
                claiming = self.claim(inner, now);
            }
            let busy =
                claiming.is_some() || recording.is_some() || self.in_flight > 0 || !self.outcomes.is_empty();
            if !busy && (stopping || stop.is_none()) {
                return Ok(if self.did_something { Turn::Done } else { Turn::Idle });
            }
            let nap = self.nap(now);
            tokio::select! {
                Some(sent) = self.sent.recv() => {
                    self.settle(inner, sent);
                    while let Ok(sent) = self.sent.try_recv() {
                        self.settle(inner, sent);
                    }
                }
                written = maybe(&mut recording) => {
                    recording = None;
                    let jobs = written.inspect_err(|e| self.writing.plain |= !is_transient(e))?;
                    self.writing = Batch::default();
                    self.take_jobs(inner, jobs);
                }
                claimed = maybe(&mut claiming) => {
                    claiming = None;
                    self.take_claim(inner, claimed?);
                }
                () = inner.wake.notified() => {}
                () = tokio::time::sleep(nap) => {}
                () = cancelled(stop), if !stopping => {}
            }
        }
    }

    /// How long nothing will happen by itself.
    fn nap(&self, now: i64) -> Duration {
        let first = self.lanes.first_timer().min(self.next_reload).min(self.next_scan);
        let wait = Duration::from_millis(first.saturating_sub(now).clamp(1, POLL_MS).unsigned_abs());
        match self.oldest_outcome {
            Some(since) => wait.min(RECORD_LINGER.saturating_sub(since.elapsed())),
            None => wait,
        }
    }

    fn take_handoffs(&mut self, inner: &Inner, now: i64) {
        for handoff in inner.take_handoffs() {
            self.take_jobs(inner, handoff.jobs);
            for id in handoff.hungry {
                if let Some(lane) = self.lanes.map.get_mut(&id).filter(|lane| lane.slots_left(now).is_ok()) {
                    lane.hungry = true;
                    self.lanes.line_up(id);
                }
            }
        }
    }

    /// Puts leased jobs into their lanes.
    fn take_jobs(&mut self, inner: &Inner, jobs: Vec<Job>) {
        for job in jobs {
            let id = job.subscription_id;
            match self.lanes.map.get_mut(&id) {
                Some(lane) => {
                    lane.ready.push_back(job);
                    inner.held.fetch_add(1, Ordering::Relaxed);
                    self.lanes.line_up(id);
                }
                None => self.unused.push(held(&job)),
            }
        }
    }

    /// Gives the jobs of one lane back to the database.
    fn give_up(&mut self, inner: &Inner, id: i64) {
        let Some(lane) = self.lanes.map.get_mut(&id) else { return };
        inner.held.fetch_sub(lane.ready.len(), Ordering::Relaxed);
        self.unused.extend(lane.ready.drain(..).map(|job| held(&job)));
    }

    fn give_back(&mut self, inner: &Inner) {
        let waiting: Vec<i64> =
            self.lanes.map.iter().filter(|(_, l)| !l.ready.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            self.give_up(inner, id);
        }
    }

    /// Starts requests while there are slots, one of each lane in turn.
    fn dispatch(&mut self, inner: &Arc<Inner>, now: i64) {
        while self.in_flight < self.most_in_flight && self.outcomes.len() < MOST_UNWRITTEN {
            let Some(id) = self.lanes.turn.pop_front() else { return };
            let Some(lane) = self.lanes.map.get_mut(&id) else { continue };
            lane.in_turn = false;
            if !lane.is_active() {
                self.give_up(inner, id);
                continue;
            }
            match lane.slots_left(now) {
                Err(until) => self.lanes.set_timer(id, until),
                // A result brings it back into the line.
                Ok(0) => {}
                Ok(_) => {
                    self.send_one(inner, id, now);
                    self.lanes.line_up(id);
                }
            }
        }
    }

    fn send_one(&mut self, inner: &Arc<Inner>, id: i64, now: i64) {
        let Some(lane) = self.lanes.map.get_mut(&id) else { return };
        let Some(job) = lane.ready.pop_front() else { return };
        inner.held.fetch_sub(1, Ordering::Relaxed);
        if job.leased_until < now + inner.timeout_ms {
            // Too late to be sure that it ends within the lease: it comes due again by itself.
            self.lanes.set_timer(id, job.leased_until);
            return;
        }
        lane.started();
        self.in_flight += 1;
        self.did_something = true;
        let (inner, target, report) = (Arc::clone(inner), Arc::clone(&lane.target), self.report.clone());
        lifecycle::spawn(async move {
            let sent = inner.deliver(target, job).await;
            // Fails only when the engine is gone, and then nobody is left to tell.
            let _ = report.send(sent);
        });
    }

    /// Takes a result in.
    fn settle(&mut self, inner: &Inner, sent: Sent) {
        self.in_flight -= 1;
        let Sent { job, exchange } = sent;
        let (id, now) = (job.subscription_id, inner.platform.clock.now_ms());
        let Some(lane) = self.lanes.map.get_mut(&id) else { return };
        let Some(exchange) = exchange else {
            lane.broke_down();
            self.lanes.line_up(id);
            return;
        };
        self.meters.attempt(lane.target.partner_id, &job, &exchange, &inner.platform.clock);
        let [jitter] = seal::random_bytes::<1>();
        let verdict = inner.schedule.verdict(exchange.reply, job.tries + 1, now, jitter);
        if let Some(until) = lane.ended(exchange.reply, exchange.duration_ms, now) {
            self.breakers.insert(id, until);
        }
        if let Some(failing_since) = lane.health(exchange.reply, now) {
            self.health.insert(id, failing_since);
        }
        let direct = lane.takes_handoff();
        let next = if direct { (inner.platform.ids.next(), now + inner.lease_ms) } else { (0, now) };
        inner.set_room(id, if direct { lane.room(now) } else { 0 });
        if let Verdict::Retry(at) = verdict {
            self.lanes.set_timer(id, at);
        }
        self.lanes.line_up(id);
        self.outcomes.push(Outcome { job, exchange, verdict, attempt_id: inner.platform.ids.next(), next });
        self.oldest_outcome.get_or_insert_with(Instant::now);
    }

    fn should_record(&self, at_once: bool) -> bool {
        if !self.writing.is_empty() {
            return true;
        }
        match self.oldest_outcome {
            None => !self.unused.is_empty(),
            Some(since) => at_once || self.outcomes.len() >= RECORD_AT || since.elapsed() >= RECORD_LINGER,
        }
    }

    fn record(&mut self, inner: &Inner, now: i64) -> Later<Vec<Job>> {
        // A batch whose writing failed goes first, unchanged.
        if self.writing.is_empty() {
            self.oldest_outcome = None;
            self.writing = Batch {
                outcomes: Arc::new(std::mem::take(&mut self.outcomes)),
                unused: Arc::new(std::mem::take(&mut self.unused)),
                breakers: Arc::new(self.breakers.drain().collect()),
                health: Arc::new(self.health.drain().collect()),
                plain: false,
            };
            // What a vacated place makes ready without a lease is there to be claimed.
            let left: Vec<i64> = self
                .writing
                .outcomes
                .iter()
                .filter(|o| o.next.0 == 0)
                .map(|o| o.job.subscription_id)
                .collect();
            left.into_iter().for_each(|id| self.lanes.set_timer(id, now + 1));
        }
        let (db, batch) = (inner.platform.db.clone(), self.writing.clone());
        Box::pin(async move { record::write(&db, &batch, now).await })
    }

    /// A look into the database, if there is a reason for one.
    fn claim(&mut self, inner: &Arc<Inner>, now: i64) -> Option<Later<Claimed>> {
        let scan = now >= self.next_scan;
        let reload = inner.stale.swap(false, Ordering::SeqCst) || now >= self.next_reload;
        let again = |due: bool, before: i64, pause: i64| if due { now + pause } else { before };
        self.next_reload = again(reload, self.next_reload, POLL_MS);
        self.next_scan = again(scan, self.next_scan, SCAN_MS);
        let mut wants = Vec::new();
        let mut rows = 0;
        while wants.len() < CLAIM_LANES && rows < CLAIM_ROWS && self.outcomes.len() < MOST_UNWRITTEN {
            let Some(id) = self.lanes.hunt.pop_front() else { break };
            let Some(lane) = self.lanes.map.get_mut(&id) else { continue };
            lane.in_hunt = false;
            let room = lane.room(now).min(CLAIM_ROWS - rows);
            if !lane.hungry || !lane.is_low(room) {
                // Still hungry: a result or a timer brings it back.
                if let Some(until) = lane.shut_until(now) {
                    self.lanes.set_timer(id, until);
                }
                continue;
            }
            lane.hungry = false;
            rows += room;
            let room = i64::try_from(room).unwrap_or(1);
            wants.push((Want { subscription_id: id, room }, lane.target.rate_limit));
        }
        if !reload && !scan && wants.is_empty() {
            return None;
        }
        let request = Request { since: reload.then_some(self.last_update), scan, wants };
        Some(Box::pin(claim::look(Arc::clone(inner), request, now)))
    }

    fn take_claim(&mut self, inner: &Inner, claimed: Claimed) {
        let now = inner.platform.clock.now_ms();
        for target in claimed.targets {
            self.retarget(inner, target, now);
        }
        let mut came: HashMap<i64, i64> = HashMap::new();
        for job in &claimed.jobs {
            *came.entry(job.subscription_id).or_default() += 1;
        }
        for asked in claimed.asked {
            let id = asked.subscription_id;
            let Some(lane) = self.lanes.map.get_mut(&id) else { continue };
            // As much as was asked for: there is probably more.
            lane.hungry |= asked.rest_until.is_some() || came.get(&id).is_some_and(|n| *n >= asked.room);
            if let Some(until) = asked.rest_until {
                lane.rest(until);
                self.lanes.set_timer(id, until);
            }
            self.lanes.line_up(id);
        }
        for (id, at) in claimed.due {
            self.lanes.set_timer(id, at);
        }
        self.take_jobs(inner, claimed.jobs);
        for (id, lane) in &self.lanes.map {
            inner.set_room(*id, if lane.takes_handoff() { lane.room(now) } else { 0 });
        }
    }

    fn retarget(&mut self, inner: &Inner, target: Target, now: i64) {
        let id = target.subscription_id;
        self.last_update = self.last_update.max(target.updated_at);
        match self.lanes.map.get_mut(&id) {
            Some(lane) if lane.target.revision >= target.revision => return,
            Some(lane) => lane.retarget(Arc::new(target)),
            None if target.active => {
                self.lanes.map.insert(id, Lane::new(Arc::new(target), self.most_per_lane));
            }
            None => return,
        }
        self.lanes.line_up(id);
        if let Some(lane) = self.lanes.map.get(&id) {
            inner.set_room(id, if lane.takes_handoff() { lane.room(now) } else { 0 });
        }
    }
}

fn held(job: &Job) -> Held {
    Held { delivery_id: job.delivery_id, lease: job.lease }
}

/// The result of a future that may not be there.
async fn maybe<T>(later: &mut Option<Later<T>>) -> Result<T, DbErr> {
    match later {
        Some(later) => later.await,
        None => std::future::pending().await,
    }
}

async fn cancelled(stop: Option<&CancellationToken>) {
    match stop {
        Some(stop) => stop.cancelled().await,
        None => std::future::pending().await,
    }
}
