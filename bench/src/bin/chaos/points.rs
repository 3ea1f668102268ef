//! The named crash points, one by one: the process dies at just that line, is started again, and nothing may be
//! missing. A point at which nobody died is a failure as well.

use std::time::Duration;

use bench::say;
use platform::crash::{POINTS, Point};

use crate::{
    Plan,
    stand::{Stand, with_own_servers},
    tables::Found,
    truth::Account,
};

/// How long a process may live on before it passes a point for the nth time, under load.
const PATIENCE: Duration = Duration::from_secs(60);
/// It dies at one of so many passes.
const PASSES: u8 = 3;

pub async fn run(plan: &Plan) -> Result<Found, String> {
    let (_servers, mut stand) = with_own_servers(plan, 1).await?;
    let mut found = Found { versions: stand.system.versions(), ..Found::default() };
    let done = walk(plan, &mut stand, &mut found).await;
    let done = done.map_err(|e| format!("{e}\n{}", stand.system.log_tails()));
    stand.end().await?;
    done.map(|()| found)
}

async fn walk(plan: &Plan, stand: &mut Stand, found: &mut Found) -> Result<(), String> {
    for point in POINTS {
        found.accounts.push(die_at(plan, stand, point).await?);
    }
    Ok(())
}

async fn die_at(plan: &Plan, stand: &mut Stand, point: &Point) -> Result<Account, String> {
    say(&format!("  {} in {}: {}", point.name, point.process, point.moment));
    let load = stand.load(plan);
    tokio::time::sleep(plan.around_point / 2).await;
    let member = stand.system.member(point.process)?;
    stand.system.members[member].kill()?;
    // Those that are passed once at the start, or with every renewal of a lease, are met at their first pass.
    let seldom = matches!(point.name, "node.renewed" | "relay.leased" | "delivery.claimed");
    let pass = if seldom { 1 } else { 1 + platform::seal::random_bytes::<1>()[0] % PASSES };
    let armed = vec![("CRASH_POINT".to_owned(), format!("{}:{pass}", point.name))];
    stand.system.launch(member, &armed)?;
    stand.system.members[member]
        .until_ended(PATIENCE)
        .await
        .map_err(|e| format!("nobody died at {} (built without crash-points?): {e}", point.name))?;
    stand.system.restart(member, &Vec::new()).await?;
    tokio::time::sleep(plan.around_point / 2).await;
    let account = stand.settle(&format!("`{}`", point.name), load).await?;
    Ok(account.noted(format!("{}: {}", point.process, point.moment)))
}
