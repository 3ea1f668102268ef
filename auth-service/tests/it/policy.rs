use contracts::{
    events::PolicyChanged,
    identity::Caller,
    policy::{PolicySnapshot, PolicySource},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{Auth, statuses};

const PATH: &str = "/internal/policy";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_of_other_processes_get_the_snapshot_once_per_version() {
    let auth = Auth::start().await;
    let ask = async |version: i64| {
        auth.signed("GET", &format!("{PATH}?version={version}"), PATH, Caller::anonymous()).await
    };
    let snapshot: PolicySnapshot = serde_json::from_value(ask(0).await.expect_status(200).json()).unwrap();
    assert_eq!(Some(&snapshot), auth.policy.fetch(0).await.unwrap().as_ref(), "local and remote differ");
    assert_eq!(ask(snapshot.version).await.status(), 304);
    assert!(auth.policy.fetch(snapshot.version).await.unwrap().is_none());
    auth.role("clerks", &["AUDIT_LIST"]).await;
    let next: PolicySnapshot =
        serde_json::from_value(ask(snapshot.version).await.expect_status(200).json()).unwrap();
    assert_eq!(next.version, snapshot.version + 1);
    assert_eq!(next.roles.len(), 2);
    // A gateway that has none yet asks with -1.
    ask(-1).await.expect_status(200);
    // A gateway that knows a later version than a restored database has gets what there is.
    ask(next.version + 1000).await.expect_status(200);
    let told = auth.bed.published::<PolicyChanged>(2).await;
    assert_eq!(told.last().unwrap().version, next.version);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snapshot_is_for_gateways_only() {
    let auth = Auth::start().await;
    auth.app.get(PATH).without_gateway().send().await.expect_status(401);
    let for_another_path = auth.signed("GET", PATH, "/api/account", Caller::anonymous()).await;
    for_another_path.expect_status(401);
    let for_another_method = auth.signed("POST", PATH, PATH, Caller::anonymous()).await;
    assert_ne!(for_another_method.status(), 200);
    assert!(
        contracts::routes::all().all(|r| !r.path.starts_with("/internal")),
        "the gateway must not forward it"
    );
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_is_taken_out_and_put_back() {
    let auth = Auth::start().await;
    let answer = auth.send("DELETE", "/api/permission/AUDIT_LIST", json!(null)).await;
    answer.expect_status(200);
    let snapshot = auth.snapshot().await;
    assert!(!snapshot.registered.contains(&"AUDIT_LIST".to_owned()), "403 status 4");
    assert!(!snapshot.roles[&1].contains(&"AUDIT_LIST".to_owned()));
    let list = auth.good("GET", "/api/permission", json!(null)).await;
    assert_eq!(list["unregistered"], json!(["AUDIT_LIST"]));
    assert_eq!(statuses(&auth.send("DELETE", "/api/permission/AUDIT_LIST", json!(null)).await), (404, 7));

    auth.good("POST", "/api/permission", json!({"name": "AUDIT_LIST"})).await;
    let snapshot = auth.snapshot().await;
    assert!(snapshot.registered.contains(&"AUDIT_LIST".to_owned()));
    assert!(snapshot.roles.values().all(|held| !held.contains(&"AUDIT_LIST".to_owned())), "403 status 5");
    assert_eq!(
        statuses(&auth.send("POST", "/api/permission", json!({"name": "AUDIT_LIST"})).await),
        (400, 2)
    );

    let mut all = snapshot.roles[&1].clone();
    all.push("AUDIT_LIST".into());
    auth.good("PUT", "/api/role/1", json!({"permissions": all})).await;
    assert!(auth.snapshot().await.roles[&1].contains(&"AUDIT_LIST".to_owned()));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_shows_the_matrix_and_names_that_no_route_has() {
    let auth = Auth::start().await;
    let clerks = auth.role("clerks", &["AUDIT_LIST"]).await;
    auth.good("POST", "/api/permission", json!({"name": "OLD_ROUTE"})).await;
    let list = auth.good("GET", "/api/permission", json!(null)).await;
    let row = |name: &str| -> Value {
        list["data"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone()
    };
    assert_eq!(row("AUDIT_LIST")["role_ids"], json!([1, clerks]));
    assert_eq!(
        row("AUDIT_LIST")["routes"],
        json!([{"method": "GET", "path": "/api/audit", "service": "auth"}])
    );
    assert_eq!((&row("OLD_ROUTE")["registered"], &row("OLD_ROUTE")["role_ids"]), (&json!(true), &json!([])));
    assert_eq!((&list["stale"], &list["unregistered"]), (&json!(["OLD_ROUTE"]), &json!([])));
    assert_eq!(list["roles"][1], json!({"id": clerks, "name": "clerks"}));
    assert_eq!(list["total"].as_u64().unwrap() as usize, list["data"].as_array().unwrap().len());
    // Public routes and those with keys of their own need no permission.
    assert!(list["data"].as_array().unwrap().iter().all(|r| r["name"] != "GET_BEARER_TOKEN"));
    auth.good("DELETE", "/api/permission/OLD_ROUTE", json!(null)).await;
    assert_eq!(auth.good("GET", "/api/permission", json!(null)).await["stale"], json!([]));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_permission_names_are_refused() {
    let auth = Auth::start().await;
    for name in [
        json!("A B"),
        json!("权限"),
        json!("😀"),
        json!("A\u{0}"),
        json!("x".repeat(65)),
        json!(""),
        json!(["A"]),
    ] {
        let answer = auth.send("POST", "/api/permission", json!({"name": name})).await;
        assert_eq!(statuses(&answer), (400, 1), "{name}");
    }
    assert_eq!(statuses(&auth.send("DELETE", "/api/permission/%F0%9F%98%80", json!(null)).await), (404, 7));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_each_have_a_version_of_their_own() {
    let auth = Auth::start().await;
    let before = auth.snapshot().await.version;
    let names: Vec<String> = (0..12).map(|i| format!("role-{i}")).collect();
    let made = join_all(names.iter().map(|name| auth.role(name, &["AUDIT_LIST"]))).await;
    assert_eq!(made.len(), 12);
    let snapshot = auth.snapshot().await;
    assert_eq!(snapshot.version, before + 12);
    assert_eq!(snapshot.roles.len(), 13);
    let told = auth.bed.published::<PolicyChanged>(13).await;
    let versions: Vec<i64> = told.iter().map(|t| t.version).collect();
    assert!(versions.windows(2).all(|w| w[0] < w[1]), "{versions:?}");
    auth.finish().await;
}
