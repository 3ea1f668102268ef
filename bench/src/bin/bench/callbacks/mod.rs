//! Subject `callbacks`: from the commit of a state change to the partner's receiver, in both modes: how long at
//! a steady rate, how many a second out of a backlog, and at what cost.

pub mod bare;
mod stage;
mod tables;

use base64::{Engine, engine::general_purpose::STANDARD};
use bench::{
    machine::Foreign,
    receiver::{Faults, Receiver},
    report::Section,
    system::Mode,
};

use bare::{Bare, BareDone};
use stage::{Burst, Drain, Stage};

/// Endpoints of the bare loop begin here.
const BARE_FIRST: u32 = 100_000;
/// As sync-service's own defaults: deliveries under way at once to one subscription, and in all.
const PARALLEL_ONE: usize = 32;
const PARALLEL_ALL: usize = 256;

/// How much, how often.
pub struct Plan {
    /// Changes a second of the steady part.
    pub rate: u32,
    pub steady_changes: usize,
    /// Orders of one backlog.
    pub backlog: usize,
    /// Events of one full outbox.
    pub drained: usize,
    pub endpoints: u32,
    pub rounds: usize,
}

/// What was found in one mode.
struct Found {
    mode: Mode,
    latencies_ms: Vec<f64>,
    kept_rate: f64,
    one: Vec<Burst>,
    many: Vec<Burst>,
    drained: Drained,
    versions: Vec<String>,
}

/// Full outboxes that were emptied: to one endpoint, to many, and to many of which one hangs.
#[derive(Default)]
struct Drained {
    one: Vec<Drain>,
    many: Vec<Drain>,
    one_dead: Vec<Drain>,
}

/// What the bare loop did.
#[derive(Default)]
struct BareFound {
    latencies_ms: Vec<f64>,
    one: Vec<BareDone>,
    many: Vec<BareDone>,
}

/// Everything of a run, for the tables.
struct Findings {
    modes: Vec<Found>,
    bare: BareFound,
    faults: Faults,
    mean_bytes: f64,
    callbacks: usize,
    /// Modes that could not be measured, and why.
    missing: Vec<String>,
    foreign: Foreign,
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    let receiver = Receiver::start()?;
    let secret = format!("whsec_{}", STANDARD.encode(platform::seal::random_bytes::<32>()));
    let mut run =
        Run { plan, receiver: &receiver, secret, bare: BareFound::default(), foreign: Foreign::default() };
    let (mut modes, mut missing) = (Vec::new(), Vec::new());
    for mode in [Mode::Embedded, Mode::Distributed] {
        bench::say(mode.label());
        match run.mode(mode).await {
            Ok(found) => modes.push(found),
            Err(e) => missing.push(format!("{}: {e}", mode.label())),
        }
    }
    if modes.is_empty() {
        return Err(missing.join("\n"));
    }
    run.paced_bare().await?;
    let findings = Findings {
        modes,
        bare: run.bare,
        faults: receiver.faults(),
        mean_bytes: receiver.mean_bytes(),
        callbacks: receiver.count(),
        missing,
        foreign: run.foreign,
    };
    Ok(tables::section(&findings, plan))
}

struct Run<'a> {
    plan: &'a Plan,
    receiver: &'a Receiver,
    secret: String,
    bare: BareFound,
    foreign: Foreign,
}

impl Run<'_> {
    async fn mode(&mut self, mode: Mode) -> Result<Found, String> {
        let stage = Stage::set(mode, self.receiver, self.plan.endpoints).await?;
        let found = self.measure(mode, &stage).await;
        let found = found.map_err(|e| format!("{e}\n{}", stage.system.log_tails()));
        stage.system.end().await?;
        found
    }

    async fn measure(&mut self, mode: Mode, stage: &Stage<'_>) -> Result<Found, String> {
        let plan = self.plan;
        let (receipts, kept_rate) = stage.paced(plan.steady_changes, plan.rate, &mut self.foreign).await?;
        let latencies_ms = receipts.iter().map(bench::receiver::Receipt::latency_ms).collect();
        let (mut one, mut many, mut drained) = (Vec::new(), Vec::new(), Drained::default());
        for round in 0..plan.rounds {
            bench::say(&format!("  round {} of {}", round + 1, plan.rounds));
            one.push(stage.burst(&stage.free[..1], plan.backlog, &mut self.foreign).await?);
            let bare = self.bare(1, PARALLEL_ONE).run(&self.secret).await?;
            self.bare.one.push(bare);
            many.push(stage.burst(&stage.free, plan.backlog, &mut self.foreign).await?);
            let bare = self.bare(plan.endpoints, PARALLEL_ALL).run(&self.secret).await?;
            self.bare.many.push(bare);
            let (goods, foreign) = (&stage.free, &mut self.foreign);
            drained.one.push(stage.drain(&goods[..1], plan.drained, 0, foreign).await?);
            drained.many.push(stage.drain(goods, plan.drained, 0, foreign).await?);
            drained.one_dead.push(stage.drain(goods, plan.drained, 1, foreign).await?);
        }
        let versions = stage.system.versions();
        Ok(Found { mode, latencies_ms, kept_rate, one, many, drained, versions })
    }

    fn bare(&self, endpoints: u32, parallel: usize) -> Bare<'_> {
        let count = self.plan.backlog;
        Bare { receiver: self.receiver, first: BARE_FIRST, endpoints, count, parallel, rate: 0 }
    }

    async fn paced_bare(&mut self) -> Result<(), String> {
        let before = self.receiver.count();
        let paced =
            Bare { count: self.plan.steady_changes, rate: self.plan.rate, ..self.bare(1, PARALLEL_ONE) };
        paced.run(&self.secret).await?;
        let receipts = self.receiver.receipts(before);
        self.bare.latencies_ms = receipts.iter().map(bench::receiver::Receipt::latency_ms).collect();
        Ok(())
    }
}
