//! The API's page in a real browser that can reach nothing but this machine.

use std::process::Command;

use crate::{process::run, system::System};

/// The page's document after its scripts have run.
fn rendered(url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let shown = run(Command::new(testing::chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=20000", "--dump-dom", url]));
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_docs_show_every_operation_in_a_browser_without_the_outside() {
    let mut system = System::start().await;
    let page = rendered(&format!("{}/docs/index.html", system.url));
    for route in contracts::routes::all() {
        let shown = format!("data-path=\"{}\"", route.path);
        assert!(page.contains(&shown), "{} {} is not on the page:\n{page}", route.name, route.path);
    }
    system.stop().await;
}
