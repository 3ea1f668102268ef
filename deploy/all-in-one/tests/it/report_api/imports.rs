//! A large import through kill -9 of everything: it goes on where it stopped, and no row comes twice.

use serde_json::{Value, json};
use testing::wait_at_most;

use super::{Operator, upload};
use crate::system::System;

const ROWS: i64 = 40_000;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(180);

async fn state(operator: &Operator, path: &str) -> Value {
    let seen = operator.get(path).await.expect_status(200).json()["data"].clone();
    let of = |key: &str| seen[key].as_i64().unwrap();
    assert_eq!(of("total"), of("success") + of("repeat") + of("error"), "{seen}");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_import_survives_kill_9_of_everything_and_inserts_nothing_twice() {
    let mut system = System::start().await;
    let operator = Operator::sign_in(&system).await;
    let report = json!({
        "title": "导入", "cover": "a.png", "intro": "x", "directory": "x", "price": 1, "read_count": 1, "status": 1,
        "file": {"file_name": "a", "src": "a.pdf", "format": "pdf", "size": 1},
    });
    let report = operator.json("POST", "/api/report", &report.to_string()).await["date"]["id"].clone();
    // Every hundredth row is bad, and the last thousand are those of the beginning again.
    let mut file = "昵称,职位,公司,电话,阅读次数\n".to_owned();
    for n in 0..ROWS {
        let mobile = 13_000_000_000 + n % (ROWS - 1000);
        let reads = if n % 100 == 7 { "viele" } else { "3" };
        file.push_str(&format!("用户{n},工程师,某某科技,{mobile},{reads}\n"));
    }
    let answer = upload(&operator, &format!("/api/report/{report}/excel"), "名单.csv", file.as_bytes()).await;
    assert_eq!((&answer["date"]["state"], &answer["date"]["rows"]), (&json!("running"), &json!(ROWS)));
    system.kill();
    system.boot().await;
    let path = format!("/api/report/{report}/import/{}", answer["date"]["import_id"]);
    // Once more in the middle.
    wait_at_most(PATIENCE, "some rows are in", async || {
        (state(&operator, &path).await["success"].as_i64().unwrap() > 0).then_some(())
    })
    .await;
    system.kill();
    system.boot().await;
    let done = wait_at_most(PATIENCE, "the import is done", async || {
        let seen = state(&operator, &path).await;
        (seen["state"] == "done").then_some(seen)
    })
    .await;
    let counts = ["total", "success", "repeat", "error"].map(|key| done[key].as_i64().unwrap());
    let (bad, again) = (ROWS / 100, 990);
    assert_eq!(counts, [ROWS, ROWS - bad - again, again, bad]);
    let list = operator.get(&format!("/api/report/{report}/white?limit=1")).await.expect_status(200).json();
    assert_eq!(list["date"]["total"], ROWS - bad - again);
    system.stop().await;
}
