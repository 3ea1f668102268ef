use std::process::Command;

use testing::{Client, wait_until};

use crate::process::{Process, binary, free_port, run};

/// (arguments, variables, what the refusal names)
type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

fn baodan(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(binary("baodan"));
    command.current_dir(folder.path()).env_clear();
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_password_is_printed_once_and_opens_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let client = Client::plain(&format!("http://127.0.0.1:{port}"));
    let mut logs = Vec::new();
    for start in ["first", "second"] {
        let log = folder.path().join(format!("{start}.log"));
        let mut process =
            Process::start("baodan", baodan(&folder).args(["--listen", &format!("127.0.0.1:{port}")]), log);
        wait_until("baodan to be ready", async || {
            client.get("/readyz").try_send().await.is_ok_and(|a| a.status() == 200)
        })
        .await;
        assert!(process.terminate().await.success(), "{}", process.log());
        logs.push(process.log());
    }
    let password =
        logs[0].lines().find_map(|l| l.split("admin / ").nth(1)).expect("a password").trim().to_owned();
    assert!(password.len() >= 16, "{password}");
    assert!(!logs[1].contains(&password), "the password was printed again");
    let log = folder.path().join("third.log");
    let mut process =
        Process::start("baodan", baodan(&folder).args(["--listen", &format!("127.0.0.1:{port}")]), log);
    wait_until("the password to be taken", async || {
        let body = serde_json::json!({"account": "admin", "password": password});
        client.post("/api/access/token").json(&body).try_send().await.is_ok_and(|a| a.status() == 200)
    })
    .await;
    let body = serde_json::json!({"account": "admin", "password": "wrong"});
    let wrong = client.post("/api/access/token").json(&body).send().await.expect_status(401).json();
    assert_eq!(wrong["status"], 6);
    assert!(process.terminate().await.success(), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suppliers_entry_is_where_its_setting_says_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let client = Client::plain(&format!("http://127.0.0.1:{port}"));
    let mut command = baodan(&folder);
    command.args(["--listen", &format!("127.0.0.1:{port}")]).env("BAODAN_SUPPLIER__ENTRY", "shop-7.php");
    let mut process = Process::start("baodan", &mut command, folder.path().join("log"));
    wait_until("baodan to be ready", async || {
        client.get("/readyz").try_send().await.is_ok_and(|a| a.status() == 200)
    })
    .await;
    let call = "?m=home&c=api&a=down_orders&goods_id=1&state=wks&format=json&apikey=none";
    let there = client.get(&format!("/shop-7.php{call}")).send().await.expect_status(200).json();
    assert_eq!((&there["status"], &there["rows"]), (&false.into(), &serde_json::json!([])), "{there}");
    let odd = client.post("/shop-7.php").body("application/json", "{\"m\":").send().await.expect_status(200);
    assert_eq!(odd.json()["status"], false, "its errors speak the suppliers' dialect");
    client.get(&format!("/admin_jiuwuxiaohun.php{call}")).send().await.expect_status(404);
    let document = client.get("/api/openapi.json").send().await.expect_status(200).json();
    assert!(document["paths"]["/shop-7.php"]["get"].is_object());
    assert!(document["paths"]["/admin_jiuwuxiaohun.php"].is_null());
    assert!(process.terminate().await.success(), "{}", process.log());
}

#[test]
fn made_up_orders_are_refused_where_orders_stand() {
    let folder = tempfile::tempdir().unwrap();
    let seed =
        |more: &[&str]| run(baodan(&folder).args(["seed", "--orders", "100", "--customers", "3"]).args(more));
    let first = seed(&[]);
    let text = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.status.success() && text.contains("100 orders"), "{text}");
    let again = seed(&[]);
    assert_eq!(again.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--yes"));
    assert!(seed(&["--yes"]).status.success());
    assert!(!seed(&["--yes", "--state", "nope"]).status.success());
}

#[test]
fn contradictions_end_the_start_with_78_and_one_sentence_each() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [Case; 8] = [
        (&["--listen", "nowhere"], &[], "listen must be address:port"),
        (&["--dev", "--listen", "0.0.0.0:1"], &[], "loopback"),
        (&[], &[("BAODAN_KEYS__TOKEN", "k1:short")], "keys.token"),
        (&[], &[("BAODAN_ADMIN_PASSWORD", "password123")], "BAODAN_ADMIN_PASSWORD"),
        (&[], &[("BAODAN_NO_SUCH_SETTING", "1")], "no_such_setting"),
        (&[], &[("BAODAN_SUPPLIER__ENTRY", "../shop.php")], "supplier.entry"),
        (&[], &[("BAODAN_SUPPLIER__ENTRY", "api")], "supplier.entry"),
        (&[], &[("BAODAN_DATABASE__KEEP_MONTHS", "1")], "database.keep_months"),
    ];
    for (arguments, variables, word) in cases {
        let ended = run(baodan(&folder).args(arguments).envs(variables.iter().copied()));
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(78), "{arguments:?} {variables:?}: {text}");
        assert!(text.contains(word), "{text}");
        assert!(!text.contains("password123"), "{text}");
    }
    let lone = run(Command::new(binary("order-service")).current_dir(folder.path()).env_clear());
    let text = String::from_utf8_lossy(&lone.stderr);
    assert_eq!(lone.status.code(), Some(78), "{text}");
    assert!(text.contains("BAODAN_BUS__URL") && text.contains("BAODAN_KEYS__INTERNAL"), "{text}");
}

/// Whatever is wrong, in variables, file and what only one part of the system asks: one start tells all of it.
#[test]
fn check_config_names_every_problem_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        ("BAODAN_LISTEN", "nowhere", "listen must be"),
        ("BAODAN_KEYS__TOKEN", "k1:short", "keys.token"),
        ("BAODAN_CALLBACK_ALLOW", "10.0.0.0/99", "callback_allow"),
        ("BAODAN_CALLBACK__RETRY_SCHEDULE_SECONDS", "soon", "retry_schedule_seconds"),
        ("BAODAN_GATEWAY__TRUSTED_PROXIES", "everybody", "trusted_proxies"),
        ("BAODAN_GATEWAY__POLICY_MAX_AGE_SECONDS", "1", "policy_max_age_seconds"),
        ("BAODAN_GATEWAY__CONSOLE_DIR", "/no/such/folder", "console"),
        ("BAODAN_TELEMETRY__OTLP_ENDPOINT", "collector", "otlp_endpoint"),
    ];
    let told =
        run(baodan(&folder).arg("check-config").envs(wrong.iter().map(|(name, value, _)| (name, value))));
    let text = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(78), "{text}");
    for (name, _, word) in wrong {
        assert!(text.contains(word), "{name} is not complained about:\n{text}");
    }
    let unreadable = [
        ("BAODAN_HTTP_WORKERS", "many"),
        ("BAODAN_NO_SUCH_SETTING", "1"),
        ("BAODAN_CALLBACK__PORTS", "443;8443"),
        ("BAODAN_TIMEZONE", "Mars/Olympus"),
        ("BAODAN_KEYS__TOKEN_FILE", "token"),
    ];
    std::fs::write(folder.path().join("baodan.toml"), "only_in_the_file = 1\n").unwrap();
    std::fs::write(folder.path().join("token"), "k1:a secret that is long enough to be taken").unwrap();
    let told = run(baodan(&folder).arg("check-config").envs(unreadable));
    let text = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(78), "{text}");
    for (name, _) in &unreadable[..4] {
        assert!(text.contains(name), "{name} is not complained about:\n{text}");
    }
    assert!(text.contains("only_in_the_file"), "{text}");
    assert!(!text.contains("BAODAN_KEYS__TOKEN"), "{text}");
}

/// A secret of digits keeps its zeros, a list may have one item.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_are_taken_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let password = "00731905520040";
    let mut command = baodan(&folder);
    command
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .env("BAODAN_ADMIN_PASSWORD", password)
        .env("BAODAN_CALLBACK__PORTS", "443")
        .env("BAODAN_HTTP_WORKERS", "1")
        // Nothing said, as in a compose file that leaves it to others.
        .env("BAODAN_KEYS__TOKEN_FILE", "")
        .env("BAODAN_DATABASE__AUTO_MIGRATE", "true")
        .env("BAODAN_TELEMETRY__TRACE_SAMPLE_RATIO", "1");
    let mut process = Process::start("baodan", &mut command, folder.path().join("log"));
    let client = Client::plain(&format!("http://127.0.0.1:{port}"));
    let sign_in = async |password: &str| {
        let body = serde_json::json!({"account": "admin", "password": password});
        client.post("/api/access/token").json(&body).try_send().await.map(|answer| answer.status())
    };
    wait_until("the password to be taken", async || sign_in(password).await.is_ok_and(|s| s == 200)).await;
    assert_eq!(sign_in("731905520040").await.unwrap(), 401);
    assert!(process.terminate().await.success(), "{}", process.log());
}

/// Beside a living process a second would take its leases for a dead one's, and send everything twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_has_one_process_at_a_time_and_a_killed_one_leaves_it_free() {
    let folder = tempfile::tempdir().unwrap();
    let start = |log: &str| {
        let port = free_port();
        let mut command = baodan(&folder);
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        (Process::start("baodan", &mut command, folder.path().join(log)), port)
    };
    let ready = async |port: u16| {
        let client = Client::plain(&format!("http://127.0.0.1:{port}"));
        wait_until("baodan to be ready", async || {
            client.get("/readyz").try_send().await.is_ok_and(|a| a.status() == 200)
        })
        .await;
    };
    let (mut first, port) = start("first");
    ready(port).await;
    let (mut second, _) = start("second");
    let status = wait_until("the second to be refused", async || second.ended()).await;
    assert_eq!(status.code(), Some(78), "{}", second.log());
    assert!(second.log().contains("--data-dir"), "{}", second.log());
    first.kill();
    let (mut third, port) = start("third");
    ready(port).await;
    assert!(third.terminate().await.success(), "{}", third.log());
}
