//! Subject `idle`: what the all-in-one costs while nobody asks for anything, and how soon it serves.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use bench::{
    machine::{self, Foreign, Watch},
    proc::Process,
    report::{Section, Table, median, whole},
    system, tools,
};

/// The demands.
const TARGET_MIB: f64 = 60.0;
const TARGET_START_MS: f64 = 1000.0;

/// How often, and how long a process is left alone before its memory is read.
pub struct Plan {
    pub rounds: usize,
    pub rest: Duration,
}

/// One start.
struct Start {
    ready_ms: f64,
    rss_mib: f64,
    peak_mib: f64,
    /// CPU used from exec until the memory was read.
    cpu_ms: f64,
}

impl Start {
    async fn observe(process: &Process, ready: Duration, rest: Duration) -> Result<Self, String> {
        tokio::time::sleep(rest).await;
        let mib = |field| process.memory_kib(field).map(|kib| kib as f64 / 1024.0);
        Ok(Self {
            ready_ms: ready.as_secs_f64() * 1000.0,
            rss_mib: mib("VmRSS")?,
            peak_mib: mib("VmHWM")?,
            cpu_ms: process.cpu_seconds()? * 1000.0,
        })
    }
}

const FRESH: &str = "baodan, fresh data folder (migrations, keys, admin account)";
const AGAIN: &str = "baodan, second start";
const EMPTY: &str = "baseline: actix server without any code";
const REDIS: &str = "baseline: redis-server, empty, not persistent";

pub async fn run(plan: &Plan) -> Result<Section, String> {
    let mut starts: Vec<(&str, Vec<Start>)> = vec![(FRESH, vec![]), (AGAIN, vec![]), (EMPTY, vec![])];
    if tools::find("redis-server").is_some() {
        starts.push((REDIS, vec![]));
    }
    let mut foreign = Foreign::default();
    for round in 0..plan.rounds {
        bench::say(&format!("round {} of {}", round + 1, plan.rounds));
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        for (label, found) in &mut starts {
            let watch = Watch::begin(0.0);
            let (process, ready) = start(label, folder.path()).await?;
            found.push(Start::observe(&process, ready, plan.rest).await?);
            let used = process.cpu_seconds()?;
            foreign.end(&watch, used);
        }
    }
    Ok(section(&starts, plan, &foreign))
}

/// The second start of `baodan` finds the data of the first in the same round.
async fn start(label: &str, folder: &Path) -> Result<(Process, Duration), String> {
    let address = tools::free_address()?;
    match label {
        EMPTY => empty(address, folder).await,
        REDIS => redis(address, folder).await,
        _ => {
            let password = ("BAODAN_ADMIN_PASSWORD".to_owned(), platform::seal::random_token(18));
            system::embedded(address, &folder.join("data"), folder, &vec![password]).await
        }
    }
}

async fn empty(address: SocketAddr, folder: &Path) -> Result<(Process, Duration), String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let started = Instant::now();
    let mut command = Command::new(here);
    command.args(["empty-server", &address.to_string()]);
    let mut process = Process::spawn("empty", &mut command, folder)?;
    let ready =
        tools::until_ready(&mut process, address, "/readyz", started, Duration::from_secs(10)).await?;
    Ok((process, ready))
}

/// The child: a server that only says that it is there.
pub async fn empty_server(address: SocketAddr) -> Result<(), String> {
    HttpServer::new(|| App::new().route("/readyz", web::get().to(HttpResponse::Ok)))
        .bind(address)
        .map_err(|e| e.to_string())?
        .run()
        .await
        .map_err(|e| e.to_string())
}

async fn redis(address: SocketAddr, folder: &Path) -> Result<(Process, Duration), String> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
    command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(folder);
    let started = Instant::now();
    let mut process = Process::spawn("redis", &mut command, folder)?;
    loop {
        if tools::first_line(address, b"PING\r\n").await.is_ok_and(|line| line == "+PONG") {
            return Ok((process, started.elapsed()));
        }
        process.check()?;
        if started.elapsed() > Duration::from_secs(10) {
            return Err(format!("redis-server does not answer: {}", process.log_tail()));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn section(starts: &[(&str, Vec<Start>)], plan: &Plan, foreign: &Foreign) -> Section {
    let head = ["", "exec → ready ms", "RSS MiB", "peak RSS MiB", "CPU ms until then"];
    let title = format!("Start, and memory after {} s of idling", plan.rest.as_secs());
    let mut table = Table::new(title, &head);
    let of = |label: &str, figure: &dyn Fn(&Start) -> f64| {
        let found = starts.iter().find(|(l, _)| *l == label).map_or(&[][..], |(_, s)| s);
        median(&found.iter().map(figure).collect::<Vec<_>>())
    };
    for (label, _) in starts {
        table.row(vec![
            (*label).into(),
            whole(of(label, &|s| s.ready_ms)),
            format!("{:.1}", of(label, &|s| s.rss_mib)),
            format!("{:.1}", of(label, &|s| s.peak_mib)),
            whole(of(label, &|s| s.cpu_ms)),
        ]);
    }
    let rss = of(FRESH, &|s| s.rss_mib).max(of(AGAIN, &|s| s.rss_mib));
    let ready = of(FRESH, &|s| s.ready_ms).max(of(AGAIN, &|s| s.ready_ms));
    let verdict = |good| if good { "reached" } else { "**not reached**" };
    let rounds = format!("{} alternating rounds, medians", plan.rounds);
    Section {
        subject: "idle",
        title: "空闲 Idle memory and start of the all-in-one",
        circumstances: machine::circumstances(&rounds, &[machine::rustc(), machine::package("redis-server")], foreign),
        tables: vec![table],
        notes: vec![
            format!("Targets: under {TARGET_MIB:.0} MiB idle: {}, {rss:.1} MiB; ready in under {TARGET_START_MS:.0} ms: {}, {ready:.0} ms.", verdict(rss < TARGET_MIB), verdict(ready < TARGET_START_MS)),
            "Ready = the first 200 of `/readyz` (redis: PONG), asked every millisecond from exec on. The programs' files are in the page cache, the data folder of the first row is new in each round.".into(),
        ],
    }
}
