//! Everything in one process on SQLite, killed in a loop.

use std::time::Duration;

use bench::{
    say,
    system::{Mode, Urls},
};

use crate::{Plan, stand::Stand, tables::Found};

/// Load between two kills; the moment within it is random.
const BETWEEN: Duration = Duration::from_secs(2);

pub async fn run(plan: &Plan) -> Result<Found, String> {
    let plan = Plan { endpoints: plan.endpoints.min(10), ..*plan };
    let mut stand = Stand::set(Mode::Embedded, 1, &plan, Urls::of_environment()).await?;
    let mut found = Found::default();
    let done = killed(&plan, &mut stand, &mut found).await;
    let done = done.map_err(|e| format!("{e}\n{}", stand.system.log_tails()));
    stand.end().await?;
    done.map(|()| found)
}

async fn killed(plan: &Plan, stand: &mut Stand, found: &mut Found) -> Result<(), String> {
    let load = stand.load(plan);
    let mut slowest = Duration::ZERO;
    for kill in 1..=plan.kills {
        let [byte] = platform::seal::random_bytes::<1>();
        tokio::time::sleep(BETWEEN.mul_f64(0.5 + f64::from(byte) / 255.0)).await;
        say(&format!("  kill -9, {kill} of {}", plan.kills));
        stand.system.members[0].kill()?;
        slowest = slowest.max(stand.system.restart(0, &Vec::new()).await?);
    }
    let account = stand.settle(&format!("kill -9, {} times", plan.kills), load).await?;
    found.accounts.push(account.noted(format!("slowest restart {:.1} s", slowest.as_secs_f64())));
    Ok(())
}
