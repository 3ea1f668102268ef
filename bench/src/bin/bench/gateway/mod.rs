//! Subject `gateway`: our gateway with everything switched on against HAProxy's JWT proxy, before the same
//! upstream, with the same token, the same number of threads, the same load.

mod haproxy;
mod ours;
pub mod token;

use bench::{
    machine::{self, Foreign, Watch},
    proc::Process,
    report::{Section, Table, median, percentile, whole},
    system::Broker,
    tools,
};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    upstream::{self, Upstream},
    wrk::{self, Load},
};
use haproxy::Logging;
use token::Mint;

const CONNECTIONS: u32 = 64;
const WARM_UP_SECONDS: u32 = 3;
/// The demand: at least as many requests a second as HAProxy.
const TARGET_RATIO: f64 = 1.0;

/// How long and how often.
pub struct Plan {
    pub rounds: usize,
    pub seconds: u32,
}

/// One of those that are compared.
struct Contestant {
    label: &'static str,
    address: SocketAddr,
    /// `None`: the upstream itself.
    process: Option<Process>,
    rounds: Vec<Round>,
}

/// One round of one of them.
struct Round {
    load: Load,
    /// CPU seconds per 10,000 requests, in its own code and in the kernel.
    user: f64,
    system: f64,
}

impl Contestant {
    fn cpu(&self) -> Result<(f64, f64), String> {
        self.process.as_ref().map_or(Ok((0.0, 0.0)), Process::cpu_split)
    }

    async fn round(&mut self, token: &str, seconds: u32, foreign: &mut Foreign) -> Result<(), String> {
        let before = self.cpu()?;
        let watch = Watch::begin(before.0 + before.1);
        let load = wrk::run(&self.url(), token, CONNECTIONS, seconds).await?;
        let after = self.cpu()?;
        foreign.end(&watch, after.0 + after.1);
        if load.failures > 0 {
            return Err(format!("{}: {} of {} requests failed", self.label, load.failures, load.requests));
        }
        if let Some(process) = &self.process {
            process.forget_log()?;
        }
        bench::say(&format!("  {}: {} requests/s", self.label, whole(load.per_second)));
        let per_10k = 10_000.0 / load.requests;
        self.rounds.push(Round {
            user: (after.0 - before.0) * per_10k,
            system: (after.1 - before.1) * per_10k,
            load,
        });
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://{}{}", self.address, upstream::PATH)
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(&self.rounds.iter().map(figure).collect::<Vec<_>>())
    }
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    tools::ensure("haproxy", "haproxy")?;
    tools::ensure("wrk", "wrk")?;
    let broker = Broker::of_this_run();
    let measured = measure(plan, &broker).await;
    // The gateway runs without a broker as well (it polls its policy), and so does this subject.
    if let Err(e) = broker.clean_up().await {
        bench::say(&format!("the gateway ran without a broker: {e}"));
    }
    measured
}

async fn measure(plan: &Plan, broker: &Broker) -> Result<Section, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let upstream = Upstream::start(threads)?;
    let mint = Mint {
        kid: "k1".into(),
        secret: platform::seal::random_token(32),
        issuer: format!("acp-api-{}", ours::ENVIRONMENT),
    };
    let mut contestants = start(&mint, &upstream, threads, folder.path()).await?;
    let address = tools::free_address()?;
    let process = ours::start(address, upstream.address, threads, &mint, broker, folder.path()).await?;
    contestants.push(Contestant { label: OURS, address, process: Some(process), rounds: Vec::new() });
    // Those that are compared are neighbours in time.
    contestants.sort_by_key(|c| ORDER.iter().position(|label| *label == c.label));
    for contestant in contestants.iter().filter(|c| c.process.is_some()) {
        check_the_door(contestant, &mint).await?;
    }
    let foreign = rounds(&mut contestants, &mint.good()?, plan).await?;
    Ok(section(contestants, plan, threads, &foreign))
}

/// Warms up, then lets all of them run in turn.
async fn rounds(contestants: &mut [Contestant], token: &str, plan: &Plan) -> Result<Foreign, String> {
    let mut unused = Foreign::default();
    for contestant in contestants.iter_mut() {
        contestant.round(token, WARM_UP_SECONDS, &mut unused).await?;
        contestant.rounds.clear();
    }
    let mut foreign = Foreign::default();
    let mut order: Vec<usize> = (0..contestants.len()).collect();
    for round in 0..plan.rounds {
        bench::say(&format!("round {} of {}", round + 1, plan.rounds));
        for &turn in &order {
            contestants[turn].round(token, plan.seconds, &mut foreign).await?;
        }
        // There and back: nobody is always first, and each follows its neighbour as often as it precedes it.
        order.reverse();
    }
    Ok(foreign)
}

const OURS: &str = "baodan gateway, everything on";
const BASELINE: &str = "HAProxy, jwt_verify + exp";
const BASELINE_LOGGING: &str = "HAProxy, jwt_verify + exp, httplog";
const UPSTREAM: &str = "the upstream alone";
const ORDER: [&str; 4] = [OURS, BASELINE, BASELINE_LOGGING, UPSTREAM];

/// The baselines.
async fn start(
    mint: &Mint,
    upstream: &Upstream,
    threads: usize,
    folder: &Path,
) -> Result<Vec<Contestant>, String> {
    let mut contestants = Vec::new();
    for (label, name, logging) in
        [(BASELINE, "haproxy", Logging::Off), (BASELINE_LOGGING, "haproxy-httplog", Logging::Requests)]
    {
        let address = tools::free_address()?;
        let mut process =
            haproxy::start(name, logging, address, upstream.address, threads, &mint.secret, folder)?;
        until_it_refuses(&mut process, address).await?;
        contestants.push(Contestant { label, address, process: Some(process), rounds: Vec::new() });
    }
    contestants.push(Contestant {
        label: UPSTREAM,
        address: upstream.address,
        process: None,
        rounds: Vec::new(),
    });
    Ok(contestants)
}

/// HAProxy has no readiness of its own: it is there when it answers at all.
async fn until_it_refuses(process: &mut Process, address: SocketAddr) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let answer =
            tools::first_line(address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if answer.is_ok_and(|line| line.starts_with("HTTP/1.1 401")) {
            return Ok(());
        }
        process.check()?;
        if started.elapsed() > Duration::from_secs(10) {
            return Err(format!("{} does not answer: {}", process.name(), process.log_tail()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A gateway that lets everything through would be the fastest.
async fn check_the_door(contestant: &Contestant, mint: &Mint) -> Result<(), String> {
    let client = platform::http::outgoing(&platform::http::OutgoingSettings::default())
        .build()
        .map_err(|e| e.to_string())?;
    let cases = [
        ("a good token", Some(mint.good()?), 200),
        ("an expired token", Some(mint.expired()?), 401),
        ("a forged token", Some(mint.forged()?), 401),
        ("no token", None, 401),
    ];
    for (what, token, expected) in cases {
        let mut request = client.get(contestant.url());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|e| format!("{}: {e}", contestant.label))?;
        let status = answer.status().as_u16();
        if status != expected {
            let body = answer.text().await.unwrap_or_default();
            return Err(format!(
                "{} answered {status} to {what} instead of {expected}: {body}",
                contestant.label
            ));
        }
    }
    Ok(())
}

fn section(contestants: Vec<Contestant>, plan: &Plan, threads: usize, foreign: &Foreign) -> Section {
    let baseline: Vec<f64> = contestants
        .iter()
        .find(|c| c.label == BASELINE)
        .map(|c| c.rounds.iter().map(|r| r.load.per_second).collect())
        .unwrap_or_default();
    // Round by round: neighbours in time shared the machine's mood.
    let ratios = |c: &Contestant| -> Vec<f64> {
        c.rounds.iter().zip(&baseline).map(|(r, b)| r.load.per_second / b).collect()
    };
    let ours = contestants.iter().find(|c| c.label == OURS).map(ratios).unwrap_or_default();
    let (ratio, low, high) = (median(&ours), percentile(&ours, 25.0), percentile(&ours, 75.0));
    let mut table = Table::new(
        "GET /api/report, HS256 token, answer of 1 KiB, 64 connections",
        &[
            "",
            "requests/s",
            "÷ HAProxy",
            "CPU-s per 10k requests",
            "own code + kernel",
            "p50 ms",
            "p99 ms",
            "RSS MiB",
        ],
    );
    for c in &contestants {
        let cpu = c.median(|r| r.user + r.system);
        let split = format!("{:.3} + {:.3}", c.median(|r| r.user), c.median(|r| r.system));
        let rss = c.process.as_ref().and_then(|p| p.memory_kib("VmRSS").ok());
        table.row(vec![
            c.label.into(),
            whole(c.median(|r| r.load.per_second)),
            format!("{:.2}", median(&ratios(c))),
            if c.process.is_some() { format!("{cpu:.3}") } else { "–".into() },
            if c.process.is_some() { split } else { "–".into() },
            format!("{:.2}", c.median(|r| r.load.p50_ms)),
            format!("{:.2}", c.median(|r| r.load.p99_ms)),
            rss.map_or_else(|| "–".into(), |kib| format!("{:.1}", kib as f64 / 1024.0)),
        ]);
    }
    let verdict = if ratio >= TARGET_RATIO { "reached" } else { "**not reached**" };
    let rounds = format!("{} alternating rounds of {} s after a warm-up, medians", plan.rounds, plan.seconds);
    let versions = [machine::rustc(), machine::package("haproxy"), machine::package("wrk")];
    Section {
        subject: "gateway",
        title: "网关 Gateway against HAProxy",
        circumstances: machine::circumstances(&rounds, &versions, foreign),
        tables: vec![table],
        notes: vec![
            format!("Target of at least {TARGET_RATIO:.1}× HAProxy: {verdict}, {ratio:.2}× (half of the rounds between {low:.2}× and {high:.2}×)."),
            "Before the first round each door was seen to pass a good token and to refuse an expired, a forged and a missing one with 401.".into(),
            format!("Gateway and HAProxy have {threads} threads each; wrk, the upstream and the gateway share the cores. HAProxy: `http-reuse always`, no log (its default) in the row that counts; the third row logs each request to a file as our gateway does."),
            "Everything on: token (algorithm, kid, issuer, expiry, revocation), permission, header allow-list, signed internal token, request id, trace context, access log to a file, metrics.".into(),
        ],
    }
}
