//! Subject `claims`: suppliers at a large stock of orders, through the API in the distributed mode, against what
//! PostgreSQL does alone with the same rows.

mod bare;
mod caller;
mod polling;
mod reading;
mod tables;

use std::{net::SocketAddr, process::Command};

use bench::{
    machine::{Foreign, Watch},
    report::Section,
    shop::{PRICE, Shop},
    system::{Cpu, Mode, System, bare as own_binary},
    tools,
};

use bare::Postgres;
use caller::Supplier;
use polling::{Poll, Rates};
use reading::Reading;

/// How much, how often.
pub struct Plan {
    /// Orders that wait for the callers, and rows of the large answer.
    pub orders: u64,
    pub batch: u64,
    pub callers: usize,
    pub rounds: usize,
    /// Further orders, done long ago, for the plan of a poll.
    pub stock: u64,
    /// Of one window of placing orders.
    pub seconds: u64,
}

/// One round of claims: orders a second.
struct Claimed {
    ours: f64,
    bare: f64,
    cpu: Cpu,
}

/// Everything of a run, for the tables.
struct Findings {
    claims: Vec<Claimed>,
    reads: Vec<Reading>,
    bare_reads: Vec<Reading>,
    taking: Reading,
    rates: Rates,
    polls: Vec<Poll>,
    seeded: String,
    versions: Vec<String>,
    foreign: Foreign,
}

/// A system with goods, and a supplier's key for them.
struct Stage {
    system: System,
    shop: Shop,
    key: String,
    postgres: Postgres,
    goods: Goods,
}

/// What each kind of orders is for.
#[derive(Clone, Copy)]
struct Goods {
    claimed: i64,
    read: i64,
    placed: i64,
    /// Nobody orders them: what is polled in vain.
    idle: i64,
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    tools::ensure("pgbench", "postgresql-contrib")?;
    tools::ensure("psql", "postgresql-client")?;
    let nobody: SocketAddr = ([127, 0, 0, 1], 9).into();
    let system = System::start(Mode::Distributed, nobody).await?;
    let stage = match furnish(&system).await {
        Ok((shop, key, postgres, goods)) => Stage { system, shop, key, postgres, goods },
        Err(e) => {
            let told = format!("{e}\n{}", system.log_tails());
            system.end().await?;
            return Err(told);
        }
    };
    let found = stage.measure(plan).await.map_err(|e| format!("{e}\n{}", stage.system.log_tails()));
    stage.system.end().await?;
    Ok(tables::section(&found?, plan))
}

async fn furnish(system: &System) -> Result<(Shop, String, Postgres, Goods), String> {
    let shop = Shop::sign_in(&system.url, &system.password).await?;
    let postgres = Postgres { url: system.database_url().ok_or("no database of its own")? };
    let goods = Goods {
        claimed: shop.goods("claimed", 0, PRICE).await?,
        read: shop.goods("read", 0, PRICE).await?,
        placed: shop.goods("placed", 0, PRICE).await?,
        idle: shop.goods("idle", 0, PRICE).await?,
    };
    let key = shop.supplier_key("supplier", &[goods.claimed, goods.read, goods.idle]).await?;
    Ok((shop, key, postgres, goods))
}

impl Stage {
    async fn measure(&self, plan: &Plan) -> Result<Findings, String> {
        let mut foreign = Foreign::default();
        let mut claims = Vec::new();
        let mut seeded = String::new();
        for round in 0..plan.rounds {
            bench::say(&format!("  claims, round {} of {}", round + 1, plan.rounds));
            seeded = self.seed(plan.orders, self.goods.claimed, Some("wks")).await?;
            claims.push(self.claims(plan, &mut foreign).await?);
        }
        bench::say("  a large answer");
        self.seed(plan.orders, self.goods.read, Some("wks")).await?;
        let (mut reads, mut bare_reads) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            reads.push(
                reading::ours(&self.system, &self.supplier(self.goods.read)?, plan.orders, false).await?,
            );
            bare_reads.push(reading::copy(&self.postgres, self.goods.read).await?);
        }
        let taking = reading::ours(&self.system, &self.supplier(self.goods.read)?, plan.orders, true).await?;
        bench::say("  polls");
        let rates = polling::rates(self, plan).await?;
        let mut polls = vec![polling::plan(&self.postgres, self.goods.idle).await?];
        if plan.stock > 0 {
            self.seed(plan.stock, self.goods.read, None).await?;
            polls.push(polling::plan(&self.postgres, self.goods.idle).await?);
        }
        let versions = self.system.versions();
        Ok(Findings { claims, reads, bare_reads, taking, rates, polls, seeded, versions, foreign })
    }

    fn supplier(&self, goods: i64) -> Result<Supplier, String> {
        Supplier::new(&self.system.url, goods, &self.key)
    }

    /// The same rows for both: PostgreSQL has a copy of its own.
    async fn claims(&self, plan: &Plan, foreign: &mut Foreign) -> Result<Claimed, String> {
        self.postgres.copy(self.goods.claimed).await?;
        let bare = self.postgres.claim(self.goods.claimed, plan).await?;
        let before = self.system.cpu()?;
        let watch = Watch::begin(before.all());
        let ours =
            self.supplier(self.goods.claimed)?.claim_all(plan.callers, plan.batch, plan.orders).await?;
        let after = self.system.cpu()?;
        foreign.end(&watch, after.all());
        Ok(Claimed { ours, bare, cpu: after.since(before) })
    }

    /// Made-up orders by `baodan seed`; what it said.
    async fn seed(&self, orders: u64, goods: i64, state: Option<&str>) -> Result<String, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let settings = vec![
            ("BAODAN_DATABASE__URL".to_owned(), self.postgres.url.clone()),
            ("BAODAN_DATABASE__SCHEMA".to_owned(), "{service}".to_owned()),
            ("BAODAN_DATA_DIR".to_owned(), folder.path().display().to_string()),
        ];
        let mut command: Command = own_binary("baodan", folder.path(), &settings)?;
        // Older than what is there, a few months in all, as a running house's are.
        command.args(["seed", "--yes", "--days", "20", "--customers", "1000"]);
        command.args(["--orders", &orders.to_string(), "--goods", &goods.to_string()]);
        if let Some(state) = state {
            command.args(["--state", state]);
        }
        said(command).await
    }
}

/// Runs a program to its end; its last line, or why it failed.
async fn said(mut command: Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = tokio::task::spawn_blocking(move || command.output()).await.map_err(|e| e.to_string())?;
    let output = output.map_err(|e| format!("{program}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(text)
}
