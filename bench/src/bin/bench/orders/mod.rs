//! Subject `orders`: placing and paying through the public API, in both modes, against the bare rows of the same
//! changes committed to the same kind of database.

mod bare;
mod tables;

use std::{net::SocketAddr, time::Instant};

use bench::{
    machine::{Foreign, Watch},
    report::Section,
    shop::{PRICE, Shop},
    system::{Cpu, Mode, System},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use bare::Bare;

/// How much, how often.
pub struct Plan {
    /// Orders of a round, each placed and paid.
    pub orders: usize,
    /// Requests under way at once.
    pub parallel: usize,
    pub rounds: usize,
}

/// One round of the system.
struct Round {
    placed: f64,
    paid: f64,
    place_ms: Vec<f64>,
    pay_ms: Vec<f64>,
    cpu: Cpu,
}

/// What was found in one mode.
struct Found {
    mode: Mode,
    rounds: Vec<Round>,
    /// Changes a second of the bare rows.
    bare: Vec<f64>,
}

/// Everything of a run, for the tables.
struct Findings {
    modes: Vec<Found>,
    versions: Vec<String>,
    foreign: Foreign,
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    let mut findings = Findings { modes: Vec::new(), versions: Vec::new(), foreign: Foreign::default() };
    let nobody: SocketAddr = ([127, 0, 0, 1], 9).into();
    for mode in [Mode::Embedded, Mode::Distributed] {
        bench::say(mode.label());
        let system = System::start(mode, nobody).await?;
        let found = measure(&system, mode, plan, &mut findings.foreign).await;
        let found = found.map_err(|e| format!("{e}\n{}", system.log_tails()));
        findings.versions.extend(system.versions());
        system.end().await?;
        findings.modes.push(found?);
    }
    Ok(tables::section(&findings, plan))
}

async fn measure(system: &System, mode: Mode, plan: &Plan, foreign: &mut Foreign) -> Result<Found, String> {
    let shop = Shop::sign_in(&system.url, &system.password).await?;
    let goods = shop.goods("orders", 0, PRICE).await?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let bare = Bare::open(system.database_url(), folder.path()).await?;
    // The first requests make connections, and a customer.
    pass(&shop, goods, 50, plan.parallel).await?;
    let (mut rounds, mut figures) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let before = system.cpu()?;
        let watch = Watch::begin(before.all());
        let mut round = pass(&shop, goods, plan.orders, plan.parallel).await?;
        let after = system.cpu()?;
        foreign.end(&watch, after.all());
        round.cpu = after.since(before);
        rounds.push(round);
        figures.push(bare.changes(plan.orders, plan.parallel).await?);
    }
    bare.close().await?;
    Ok(Found { mode, rounds, bare: figures })
}

/// Places `count` orders, then pays them.
async fn pass(shop: &Shop, goods: i64, count: usize, parallel: usize) -> Result<Round, String> {
    let started = Instant::now();
    let placing = (0..count).map(|_| async {
        let began = Instant::now();
        shop.place(goods).await.map(|number| (number, began.elapsed().as_secs_f64() * 1000.0))
    });
    let placed: Vec<(String, f64)> = stream::iter(placing).buffer_unordered(parallel).try_collect().await?;
    let placing_took = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let paying = placed.iter().map(|(number, _)| async move {
        let began = Instant::now();
        shop.pay(number).await.map(|()| began.elapsed().as_secs_f64() * 1000.0)
    });
    let pay_ms: Vec<f64> = stream::iter(paying).buffer_unordered(parallel).try_collect().await?;
    let paying_took = started.elapsed().as_secs_f64();
    Ok(Round {
        placed: count as f64 / placing_took,
        paid: count as f64 / paying_took,
        place_ms: placed.into_iter().map(|(_, ms)| ms).collect(),
        pay_ms,
        cpu: Cpu::default(),
    })
}
