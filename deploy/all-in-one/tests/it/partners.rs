//! The samples of `docs/partners/` as partners run them: each language's program, signature on, against the
//! real gateway. A language whose runtime this machine lacks is named and left out.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};
use testing::{Client, wait_until};

use crate::{
    process::run,
    system::{PASSWORD, System},
};

const LOGIN: &str = "sample-partner";
const LOGIN_PASSWORD: &str = "p w+%/密 long enough";

fn sample(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/partners").join(name).display().to_string()
}

/// (language, what must be there to run it, the command)
fn languages(folder: &str) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let c = format!("cc {} -o {folder}/sync -lcurl -lcrypto && {folder}/sync", sample("sync.c"));
    let plain = |program: &str, file: &str| vec![program.to_owned(), sample(file)];
    let headers = "printf '#include <curl/curl.h>\\n#include <openssl/evp.h>\\n' | cc -E - >/dev/null";
    vec![
        ("curl", "command -v curl && command -v md5sum && command -v python3", plain("bash", "sync.sh")),
        ("Python", "command -v python3", plain("python3", "sync.py")),
        ("Node.js", "node -e fetch", plain("node", "sync.js")),
        ("PHP", "command -v php", plain("php", "sync.php")),
        ("Java", "java --version 2>&1 | grep -E ' (1[7-9]|[2-9][0-9])[. ]'", plain("java", "Sync.java")),
        ("Go", "command -v go", vec!["go".into(), "run".into(), sample("sync.go")]),
        ("C", headers, vec!["sh".into(), "-c".into(), c]),
    ]
}

/// A partner's key that demands signatures: (key, SK).
async fn signed_key(client: &Client) -> (String, String) {
    let body = json!({"account": "admin", "password": PASSWORD});
    let token = client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
    let token = token["data"]["token"].as_str().unwrap().to_owned();
    let body = json!({"name": "样例", "login": LOGIN, "password": LOGIN_PASSWORD});
    let made = client.post("/api/partner").bearer(&token).json(&body).send().await.expect_status(200).json();
    let path = format!("/api/partner/{}/key", made["data"]["id"]);
    let body = json!({"sign_required": true, "sign_method": "md5", "quota_per_second": 50});
    let key = client.post(&path).bearer(&token).json(&body).send().await.expect_status(200).json();
    let text = |name: &str| key["data"][name].as_str().unwrap().to_owned();
    (text("key"), text("sk"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_program_synchronises_with_its_signature() {
    let mut system = System::start().await;
    let client = Client::plain(&system.url);
    let (key, sk) = signed_key(&client).await;
    let folder = tempfile::tempdir().unwrap();
    let call = |command: &[String], sk: &str| {
        run(Command::new(&command[0])
            .args(&command[1..])
            .env("BAODAN_URL", &system.url)
            .env("PARTNER_KEY", &key)
            .env("PARTNER_SK", sk)
            .env("PARTNER_NAME", LOGIN)
            .env("PARTNER_PASSWORD", LOGIN_PASSWORD)
            .env("GOCACHE", folder.path().join("go")))
    };
    let codes = |text: &str| -> Vec<i64> {
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()?["code"].as_i64()).collect()
    };
    let all = languages(&folder.path().display().to_string());
    wait_until("the key to be known to sync-service", async || {
        codes(&String::from_utf8_lossy(&call(&all[1].2, &sk).stdout)) == [200, 200]
    })
    .await;
    let refused = call(&all[1].2, "another-sk");
    assert_eq!(codes(&String::from_utf8_lossy(&refused.stdout)), [403, 403], "a wrong signature was taken");
    let mut ran = Vec::new();
    for (language, needs, command) in &all {
        if !run(Command::new("sh").args(["-c", needs])).status.success() {
            eprintln!("{language} is not on this machine; its sample was not run");
            continue;
        }
        let done = call(command, &sk);
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{language}: {text}\n{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(codes(&text), [200, 200], "{language}: {text}");
        ran.push(*language);
    }
    assert!(ran.contains(&"Python"), "{ran:?}");
    system.stop().await;
}
