//! No secret stands anywhere but in the one answer that makes it.

use std::sync::{Arc, Mutex};

use platform::db::Db;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testing::{ADMIN_PASSWORD, Mode};

use crate::{Auth, PASSWORD};

const NEW_PASSWORD: &str = "Another-pond-5582";
const APIPWD: &str = "s3cret-apipwd-9";

/// Everything this process logs, down to the last detail. For one test of a process only.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        // Before the bed's own, which then leaves it in place.
        subscriber.with_writer(move || writer.clone()).init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All that the service's database holds, as text.
async fn whole_database(db: &Db, mode: Mode) -> String {
    match mode {
        Mode::Embedded => dump(db, "SELECT name FROM sqlite_master WHERE type = 'table'", sqlite_rows).await,
        Mode::Distributed => {
            let tables = "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()";
            dump(db, tables, |t| {
                format!("SELECT coalesce(json_agg(t)::text, '') AS rows FROM (SELECT * FROM \"{t}\") AS t")
            })
            .await
        }
    }
}

fn sqlite_rows(table: &str) -> String {
    let columns = format!(
        "(SELECT group_concat('quote(\"' || name || '\")', '||''|''||') FROM pragma_table_info('{table}'))"
    );
    format!("SELECT {columns} AS rows")
}

async fn dump(db: &Db, tables: &str, rows_of: impl Fn(&str) -> String) -> String {
    let conn = db.conn();
    let ask = async |sql: String| {
        conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap()
    };
    let mut text = String::new();
    for row in ask(tables.into()).await {
        let table: String = row.try_get("", "name").unwrap();
        let answer = ask(rows_of(&table)).await;
        let found: String = answer[0].try_get("", "rows").unwrap_or_default();
        if db.is_postgres() {
            text.push_str(&found);
        } else {
            // `found` is the expression that joins all columns of the table.
            for row in ask(format!("SELECT {found} AS line FROM \"{table}\"")).await {
                text.push_str(&row.try_get::<String>("", "line").unwrap_or_default());
                text.push('\n');
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_an_answer_an_event_the_audit_the_log_or_the_database() {
    let log = Log::start();
    let auth = Auth::start().await;
    let mut secrets: Vec<String> = [ADMIN_PASSWORD, PASSWORD, NEW_PASSWORD, APIPWD].map(str::to_owned).into();
    let keep = |secrets: &mut Vec<String>, made: &Value| {
        secrets
            .extend(["key", "sk", "token"].iter().filter_map(|name| made[name].as_str().map(str::to_owned)));
    };
    let lily = auth.account("lily", &[1]).await;
    auth.good("PUT", &format!("/api/account/{lily}"), json!({"password": NEW_PASSWORD})).await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}");
    let made = auth.good("POST", &format!("{path}/key"), json!({"apiuser": "cg", "apipwd": APIPWD})).await;
    keep(&mut secrets, &made);
    keep(&mut secrets, &auth.good("POST", &format!("{path}/key/{}/rotate", made["id"]), json!({})).await);
    auth.good("PUT", &path, json!({"password": NEW_PASSWORD})).await;
    let supplier = auth.supplier("顺达").await;
    keep(
        &mut secrets,
        &auth.good("POST", &format!("/api/supplier/{supplier}/key"), json!({"goods_ids": [1]})).await,
    );
    for (account, password) in
        [("admin", ADMIN_PASSWORD), ("lily", NEW_PASSWORD), ("chenguang", NEW_PASSWORD)]
    {
        let token = auth.token(account, password).await;
        secrets.push(token.split('.').nth(2).unwrap().to_owned());
        secrets.push(token);
    }
    assert_eq!(secrets.len(), 4 + 2 + 2 + 1 + 6);

    let mut places = vec![("database".to_owned(), whole_database(auth.app.db(), auth.bed.mode()).await)];
    assert!(places[0].1.contains("chenguang"), "the dump is empty");
    assert!(log.text().len() > 10_000, "the log is empty");
    for list in ["account", "role", "permission", "partner", "distributor", "supplier", "audit", "access/me"]
    {
        places.push((
            list.into(),
            auth.app.get(&format!("/api/{list}")).send().await.expect_status(200).text(),
        ));
    }
    for thing in [
        &path,
        &format!("{path}/key"),
        &format!("/api/supplier/{supplier}/key"),
        &format!("/api/account/{lily}"),
    ] {
        places.push((thing.clone(), auth.app.get(thing).send().await.expect_status(200).text()));
    }
    auth.bed.settle().await;
    for event in auth.bed.events().await {
        places.push((event.kind.clone(), serde_json::to_string(&event).unwrap()));
    }
    places.push(("log".into(), log.text()));
    places.push(("snapshot".into(), serde_json::to_string(&auth.snapshot().await).unwrap()));
    for (place, text) in &places {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{place} holds {secret}");
        }
        // Hashes and sealed values are for the services alone, never for people.
        let internal = place == "database" || place == "log" || place.contains(".changed");
        assert!(
            internal || !(text.contains("$argon2") || text.contains("v1.e1.")),
            "{place} shows a hash or a seal"
        );
    }
    // In events a password's hash is sealed too.
    assert!(
        places
            .iter()
            .all(|(place, text)| ["database", "log"].contains(&place.as_str()) || !text.contains("$argon2"))
    );
    auth.finish().await;
}

#[test]
fn rows_do_not_print_their_hashes_and_sealed_secrets() {
    let hidden = auth_service::entities::Hidden("$argon2id$v=19$secret".into());
    assert_eq!(format!("{hidden:?}"), "***");
}
