//! Two of every process behind two gateways: restarted one by one without anybody noticing; what is due is done
//! once; what is counted is counted together; what is revoked is revoked everywhere.

use std::time::{Duration, Instant};

use bench::{
    receiver::Receiver,
    say,
    shop::{Shop, number, text},
};
use futures_util::future::join_all;
use platform::{
    clock::Clock,
    http::{OutgoingSettings, outgoing},
};
use serde_json::{Value, json};

use crate::{
    Plan,
    stand::{Stand, with_own_servers},
    tables::Found,
    truth::Account,
};

const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Gateways ask twice a second, the load balancer five times.
const NOTICED: Duration = Duration::from_millis(1500);
const WAIT: Duration = Duration::from_secs(60);
const DUE_ORDERS: usize = 200;
const DUE_REPORTS: usize = 40;
const CALLS_A_DAY: usize = 60;
/// The promise: a revoked token is dead at every gateway within this.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

pub async fn run(plan: &Plan) -> Result<Found, String> {
    let plan = Plan { endpoints: plan.endpoints.min(10), ..*plan };
    let (_servers, mut stand) = with_own_servers(&plan, 2).await?;
    let mut found = Found { versions: stand.system.versions(), ..Found::default() };
    let done = all(&plan, &mut stand, &mut found).await;
    let done = done.map_err(|e| format!("{e}\n{}", stand.system.log_tails()));
    stand.end().await?;
    done.map(|()| found)
}

async fn all(plan: &Plan, stand: &mut Stand, found: &mut Found) -> Result<(), String> {
    let account = rolling_restart(plan, stand).await?;
    let failed = account.books.failed_requests;
    found.proofs.push((
        "requests of clients that failed during the rolling restart (nothing is sent twice)".into(),
        if failed == 0 { "0".into() } else { format!("{failed}, the last: {}", stand.shop.last_failure()) },
        failed == 0,
    ));
    found.accounts.push(account);
    found.proofs.push(unpaid_orders_end_once(stand).await?);
    found.proofs.push(reports_are_published_once(stand).await?);
    found.proofs.push(quotas_are_shared(stand).await?);
    found.proofs.push(revoked_everywhere(stand).await?);
    Ok(())
}

/// SIGTERM, drain, start, of one process after the other.
async fn rolling_restart(plan: &Plan, stand: &mut Stand) -> Result<Account, String> {
    stand.trade.shop = stand.shop.clone();
    let load = stand.load(plan);
    tokio::time::sleep(NOTICED).await;
    let mut slowest = Duration::ZERO;
    for member in 0..stand.system.members.len() {
        say(&format!("  restarting {}", stand.system.members[member].label()));
        slowest = slowest.max(stand.system.members[member].stop(STOP_WITHIN).await?);
        stand.system.restart(member, &Vec::new()).await?;
        tokio::time::sleep(NOTICED).await;
    }
    let account = stand.settle("rolling restart of all ten processes", load).await?;
    Ok(account.noted(format!("slowest orderly end {:.1} s", slowest.as_secs_f64())))
}

/// Calls `look` until it says yes.
async fn until(what: &str, mut look: impl AsyncFnMut() -> Result<bool, String>) -> Result<(), String> {
    let started = Instant::now();
    while !look().await? {
        if started.elapsed() > WAIT {
            return Err(format!("waited {} s for {what}", WAIT.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

type Proof = (String, String, bool);

/// Many orders run out of time at the same moment, and both replicas look for such orders every second.
async fn unpaid_orders_end_once(stand: &Stand) -> Result<Proof, String> {
    let goods = stand.trade.goods[0];
    let placing = (0..DUE_ORDERS).map(async |_| {
        let mut order = Shop::order(goods);
        order["expire_in"] = json!(3);
        text(&stand.shop.post("/api/order", &order).await?, "/data/number")
    });
    let numbers: Vec<String> = join_all(placing).await.into_iter().collect::<Result<_, _>>()?;
    let mut histories = Vec::new();
    until("unpaid orders to end", async || {
        histories = stand.truth.histories(&numbers).await?;
        Ok(histories.len() == DUE_ORDERS && histories.iter().all(|rows| *rows >= 2))
    })
    .await?;
    stand.drain().await?;
    // Each scheduler has looked again since.
    tokio::time::sleep(Duration::from_secs(2)).await;
    histories = stand.truth.histories(&numbers).await?;
    let twice = histories.iter().filter(|rows| **rows != 2).count();
    let told: Vec<_> = stand.receivers.iter().map(Receiver::orders).collect();
    let heard =
        numbers.iter().filter(|n| told.iter().any(|t| t.get(*n).is_some_and(|s| s == &[1, 2]))).count();
    Ok((
        format!("{DUE_ORDERS} unpaid orders run out of time at once, two schedulers"),
        format!("{} ended once, {twice} not, {heard} told to their partner once", DUE_ORDERS - twice),
        twice == 0 && heard == DUE_ORDERS,
    ))
}

/// Reports that are due at the same second, published by whichever replica comes first.
async fn reports_are_published_once(stand: &Stand) -> Result<Proof, String> {
    let due = Clock::system().now_ms() / 1000 + 5;
    let due = chrono::DateTime::from_timestamp(due, 0).ok_or("no such time")?;
    let zone = chrono::FixedOffset::east_opt(8 * 3600).ok_or("no such zone")?;
    let due = due.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string();
    let making = (0..DUE_REPORTS).map(async |n| {
        let report = json!({
            "title": format!("chaos {n}"), "cover": "https://example.com/c.png", "intro": "i", "directory": "d",
            "file": {"file_name": "r", "src": "reports/r.pdf", "format": "pdf", "size": "1024"},
            "price": 99, "read_count": 3, "status": 1, "publish_time": due,
        });
        number(&stand.shop.post("/api/report", &report).await?, "/date/id")
    });
    let ids: Vec<i64> = join_all(making).await.into_iter().collect::<Result<_, _>>()?;
    let all_published = async || {
        let asked = join_all(ids.iter().map(async |id| {
            let answer = stand.shop.get(&format!("/api/report/{id}")).await?;
            Ok::<_, String>(answer["data"]["status"] == 1)
        }));
        asked.await.into_iter().try_fold(true, |all, one| Ok(all && one?))
    };
    until("reports to be published", all_published).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let published: Vec<u64> = stand
        .system
        .members
        .iter()
        .filter(|m| m.name == "report-service")
        .map(|m| published_by(&m.log()))
        .collect();
    let total: u64 = published.iter().sum();
    Ok((
        format!("{DUE_REPORTS} scheduled reports due in the same second, two schedulers"),
        format!("{total} published, by each replica: {published:?}"),
        total == DUE_REPORTS as u64,
    ))
}

/// The sum of what one replica says that it published.
fn published_by(log: &str) -> u64 {
    log.lines()
        .filter(|line| line.contains("scheduled reports published"))
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["reports"].as_u64().or_else(|| line["fields"]["reports"].as_u64())
        })
        .sum()
}

/// A key's calls of a day, asked for through both gateways and counted by both replicas at once.
async fn quotas_are_shared(stand: &Stand) -> Result<Proof, String> {
    let (login, password) = ("chaos-quota", platform::seal::random_token(12));
    let partner = json!({"name": login, "login": login, "password": password});
    let partner = number(&stand.shop.post("/api/partner", &partner).await?, "/data/id")?;
    let key = json!({"quota_per_second": 100_000, "quota_per_day": CALLS_A_DAY});
    let key = text(&stand.shop.post(&format!("/api/partner/{partner}/key"), &key).await?, "/data/key")?;
    let path = format!(
        "/api/gth/syc/order?key={key}&name={login}&password={password}&type=1&start=2024-09-01+00%3A00%3A00"
    );
    let admitted = async || Ok::<_, String>(stand.shop.get(&path).await?["code"] == 200);
    until("the key to be known", admitted).await?;
    // A replica that has not heard of the key yet counts nothing and refuses.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let calls = join_all((0..2 * CALLS_A_DAY).map(|_| admitted())).await;
    let calls: Vec<bool> = calls.into_iter().collect::<Result<_, _>>()?;
    let admitted = 1 + calls.iter().filter(|ok| **ok).count();
    Ok((
        format!("{} calls with a key that has {CALLS_A_DAY} a day, through both gateways", 1 + calls.len()),
        format!("{admitted} admitted"),
        admitted == CALLS_A_DAY,
    ))
}

/// A token that is revoked at one gateway dies at both.
async fn revoked_everywhere(stand: &Stand) -> Result<Proof, String> {
    let token = stand.shop.token(&stand.system.password).await?;
    let http = outgoing(&OutgoingSettings::default()).build().map_err(|e| e.to_string())?;
    let doors = stand.system.doors();
    let opens = async |door| {
        let answer = http.get(format!("http://{door}/api/goods")).bearer_auth(&token).send().await;
        answer.map(|a| a.status().as_u16()).map_err(|e| e.to_string())
    };
    for door in &doors {
        if opens(door).await? != 200 {
            return Err("a fresh token does not open the door".into());
        }
    }
    let out = http.post(format!("http://{}/api/access/logout", doors[0])).bearer_auth(&token).send().await;
    out.and_then(reqwest::Response::error_for_status).map_err(|e| e.to_string())?;
    let revoked = Instant::now();
    until("the token to die", async || {
        let mut dead = true;
        for door in &doors {
            dead &= opens(door).await? == 401;
        }
        Ok(dead)
    })
    .await?;
    let took = revoked.elapsed();
    Ok((
        format!("a token revoked at one gateway, dead at both within {} s", REVOKED_WITHIN.as_secs()),
        format!("{} ms", took.as_millis()),
        took <= REVOKED_WITHIN,
    ))
}
