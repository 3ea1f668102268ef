//! Processes, servers and receivers fail while orders change, each in a run of its own.

use std::time::Duration;

use bench::{
    report::percentile,
    say,
    system::{Kind, OwnServers},
};

use crate::{
    Plan,
    stand::{Stand, with_own_servers},
    tables::Found,
    truth::Account,
};

/// The processes of a system, in the order they are killed in.
const PROCESSES: [&str; 5] = ["order-service", "sync-service", "gateway", "auth-service", "report-service"];
/// How long a receiver that hangs keeps its callers waiting; longer than the sender has patience.
const HANGS: Duration = Duration::from_secs(30);

pub async fn run(plan: &Plan) -> Result<Found, String> {
    let (mut servers, mut stand) = with_own_servers(plan, 1).await?;
    let mut found = Found { versions: stand.system.versions(), ..Found::default() };
    let done = all(plan, &mut servers, &mut stand, &mut found).await;
    let done = done.map_err(|e| format!("{e}\n{}", stand.system.log_tails()));
    stand.end().await?;
    done.map(|()| found)
}

async fn all(
    plan: &Plan,
    servers: &mut OwnServers,
    stand: &mut Stand,
    found: &mut Found,
) -> Result<(), String> {
    found.accounts.push(quiet(plan, stand).await?);
    found.accounts.push(killed_processes(plan, stand).await?);
    for kind in [Kind::Rabbit, Kind::Redis, Kind::Postgres] {
        found.accounts.push(stopped_server(plan, servers, stand, kind).await?);
    }
    found.accounts.push(failing_receivers(plan, stand).await?);
    Ok(())
}

/// Nothing fails: what the others are compared with.
async fn quiet(plan: &Plan, stand: &mut Stand) -> Result<Account, String> {
    let load = stand.load(plan);
    tokio::time::sleep(plan.load / 4).await;
    stand.settle("nothing fails", load).await
}

/// A moment within `within`.
fn random(within: Duration) -> Duration {
    let [a, b] = platform::seal::random_bytes::<2>();
    within.mul_f64(f64::from(u16::from_be_bytes([a, b])) / 65_536.0)
}

/// kill -9 of each of the five processes twice, at random moments; each is started again at once.
async fn killed_processes(plan: &Plan, stand: &mut Stand) -> Result<Account, String> {
    let load = stand.load(plan);
    let turns = 2 * PROCESSES.len() as u32;
    let mut slowest = Duration::ZERO;
    for turn in 0..turns {
        let began = tokio::time::Instant::now();
        tokio::time::sleep(random(plan.load / turns)).await;
        let name = PROCESSES[turn as usize % PROCESSES.len()];
        let member = stand.system.member(name)?;
        say(&format!("  kill -9 {name}"));
        stand.system.members[member].kill()?;
        slowest = slowest.max(stand.system.restart(member, &Vec::new()).await?);
        tokio::time::sleep_until(began + plan.load / turns).await;
    }
    let account =
        stand.settle("kill -9 of each of the five processes, twice, at random moments", load).await?;
    Ok(account.noted(format!("slowest restart {:.1} s", slowest.as_secs_f64())))
}

/// A server is stopped in its own way, stays away for a while, and is started again.
async fn stopped_server(
    plan: &Plan,
    servers: &mut OwnServers,
    stand: &mut Stand,
    kind: Kind,
) -> Result<Account, String> {
    let load = stand.load(plan);
    tokio::time::sleep(plan.load / 4).await;
    say(&format!("  stopping {}", kind.label()));
    servers.stop(kind).await?;
    // A database is restarted, the others stay away for a quarter of the time.
    let (what, away) = match kind {
        Kind::Postgres => ("restarted", Duration::from_secs(1)),
        Kind::Rabbit | Kind::Redis => ("stopped, and started again", plan.load / 4),
    };
    tokio::time::sleep(away).await;
    servers.start_again(kind).await?;
    say(&format!("  {} is back", kind.label()));
    tokio::time::sleep(plan.load / 2).await;
    let account = stand.settle(&format!("{} {what}", kind.label()), load).await?;
    Ok(account.noted(format!("away for {} s and its start", away.as_secs())))
}

/// One receiver is down, another hangs; the others must not notice.
async fn failing_receivers(plan: &Plan, stand: &mut Stand) -> Result<Account, String> {
    let (down, hanging) = (plan.endpoints, 1);
    let before = stand.receivers[0].count();
    let load = stand.load(plan);
    stand.receivers[0].hang(hanging, HANGS);
    stand.receivers[1].go_down().await;
    say("  one receiver is down, one hangs");
    tokio::time::sleep(plan.load).await;
    let others: Vec<f64> = stand.receivers[0]
        .receipts(before)
        .iter()
        .filter(|r| r.endpoint != hanging)
        .map(bench::receiver::Receipt::latency_ms)
        .collect();
    stand.receivers[1].listen()?;
    stand.receivers[0].hang(hanging, Duration::ZERO);
    say("  both are well again");
    let name = format!(
        "one receiver of {down} down, another hanging {} s per call, for {} s",
        HANGS.as_secs(),
        plan.load.as_secs()
    );
    let account = stand.settle(&name, load).await?;
    Ok(account.noted(format!(
        "the other {} meanwhile: p50 {:.0} ms, p99 {:.0} ms from change to receipt",
        down - 2,
        percentile(&others, 50.0),
        percentile(&others, 99.0)
    )))
}
