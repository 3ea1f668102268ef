use auth_service::{app, bootstrap::Bootstrap};
use platform::{Service, clock::Clock, service::Shared};
use sea_orm::{ConnectionTrait, Statement};
use secrecy::ExposeSecret;
use serde_json::json;
use testing::{ADMIN_PASSWORD, TestBed};

use crate::Auth;

async fn build(shared: &Shared) -> (Service, Bootstrap) {
    app::build_with_bootstrap(shared).await.unwrap()
}

async fn run(auth: &Auth, sql: &str) {
    let tx = auth.app.db().write_tx().await.unwrap();
    tx.execute_raw(Statement::from_string(tx.get_database_backend(), sql)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_password_in_the_settings_one_is_made_and_handed_out_once() {
    let bed = TestBed::with(Clock::system(), |s| s.admin_password = None).await;
    let (service, bootstrap) = build(&bed.shared).await;
    let password = bootstrap.made_password.as_ref().unwrap().expose_secret().to_owned();
    assert!(password.len() >= 20);
    assert!(!format!("{bootstrap:?}").contains(&password));
    let app = bed.start(service).await;
    let auth = Auth { bed, app, policy: bootstrap.policy };
    auth.token("admin", &password).await;
    let (_, again) = build(&auth.bed.shared).await;
    assert!(again.made_password.is_none(), "a password was made for an account that exists");
    auth.token("admin", &password).await;
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_of_the_settings_is_not_handed_out_and_does_not_change_later() {
    let auth = Auth::start().await;
    let (_, bootstrap) = build(&auth.bed.shared).await;
    assert!(bootstrap.made_password.is_none());
    auth.good("PUT", "/api/account/1", json!({"password": "Another-pond-5582"})).await;
    build(&auth.bed.shared).await;
    auth.token("admin", "Another-pond-5582").await;
    auth.log_in("admin", ADMIN_PASSWORD).await.expect_status(401);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_that_start_at_once_make_one_admin() {
    let bed = TestBed::new().await;
    // The tables first: migrations are the platform's, and run one after the other in production.
    crate::ctx(&bed.shared).await;
    let (a, b, c) = tokio::join!(build(&bed.shared), build(&bed.shared), build(&bed.shared));
    let app = bed.start(a.0).await;
    let auth = Auth { bed, app, policy: c.1.policy };
    drop(b);
    let list = auth.good("GET", "/api/account", json!(null)).await;
    assert_eq!((&list["total"], &list["data"][0]["account"]), (&json!(1), &json!("admin")));
    assert_eq!(auth.good("GET", "/api/role", json!(null)).await["total"], 1);
    auth.admin_token().await;
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_route_names_are_registered_and_given_to_the_builtin_role_at_a_start() {
    let auth = Auth::start().await;
    let clerks = auth.role("clerks", &["ROLE_LIST"]).await;
    run(&auth, "DELETE FROM role_permission WHERE permission = 'AUDIT_LIST'").await;
    run(&auth, "DELETE FROM permission WHERE name = 'AUDIT_LIST'").await;
    let before = auth.snapshot().await;
    build(&auth.bed.shared).await;
    let after = auth.snapshot().await;
    assert!(after.version > before.version);
    assert!(after.registered.contains(&"AUDIT_LIST".to_owned()));
    assert!(after.roles[&1].contains(&"AUDIT_LIST".to_owned()));
    assert_eq!(after.roles[&clerks], ["ROLE_LIST"]);
    build(&auth.bed.shared).await;
    assert_eq!(auth.snapshot().await.version, after.version, "a start without news is no change");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_puts_back_neither_a_name_an_operator_took_out_nor_a_permission_he_took_from_the_role() {
    let auth = Auth::start().await;
    auth.good("DELETE", "/api/permission/AUDIT_LIST", json!(null)).await;
    let mut held = auth.snapshot().await.roles[&1].clone();
    held.retain(|name| name != "SUPPLIER_LIST");
    auth.good("PUT", "/api/role/1", json!({"permissions": held})).await;
    auth.good("POST", "/api/permission", json!({"name": "OLD_ROUTE"})).await;
    build(&auth.bed.shared).await;
    let snapshot = auth.snapshot().await;
    assert!(!snapshot.registered.contains(&"AUDIT_LIST".to_owned()));
    assert!(!snapshot.roles[&1].contains(&"SUPPLIER_LIST".to_owned()));
    assert!(snapshot.registered.contains(&"OLD_ROUTE".to_owned()), "a name of an older version is kept");
    auth.finish().await;
}
