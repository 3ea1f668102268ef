use futures_util::future::join_all;
use serde_json::json;

use crate::{Auth, statuses};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_made_shown_changed_and_deleted() {
    let auth = Auth::start().await;
    let id = auth.role("财务 😀", &["AUDIT_LIST", "ACCOUNT_LIST", "AUDIT_LIST"]).await;
    let path = format!("/api/role/{id}");
    let row = auth.good("GET", &path, json!(null)).await;
    assert_eq!(
        (&row["name"], &row["remark"], &row["builtin"]),
        (&json!("财务 😀"), &json!(""), &json!(false))
    );
    assert_eq!(
        (&row["permissions"], &row["account_count"]),
        (&json!(["ACCOUNT_LIST", "AUDIT_LIST"]), &json!(0))
    );
    assert_eq!(auth.snapshot().await.roles[&id], ["ACCOUNT_LIST", "AUDIT_LIST"]);

    auth.good("PUT", &path, json!({"remark": "月底对账"})).await;
    let row = auth.good("GET", &path, json!(null)).await;
    assert_eq!(
        (&row["remark"], &row["permissions"]),
        (&json!("月底对账"), &json!(["ACCOUNT_LIST", "AUDIT_LIST"]))
    );
    auth.good("PUT", &path, json!({"name": "审计", "permissions": []})).await;
    assert!(auth.snapshot().await.roles[&id].is_empty());

    let lily = auth.account("lily", &[id]).await;
    assert_eq!(auth.good("GET", &path, json!(null)).await["account_count"], 1);
    assert_eq!(statuses(&auth.send("DELETE", &path, json!(null)).await), (400, 2));
    auth.good("DELETE", &format!("/api/account/{lily}"), json!(null)).await;
    auth.good("DELETE", &path, json!(null)).await;
    assert_eq!(statuses(&auth.send("GET", &path, json!(null)).await), (404, 7));
    assert!(!auth.snapshot().await.roles.contains_key(&id));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_permission_is_named() {
    let auth = Auth::start().await;
    let body = json!({"name": "x", "permissions": ["AUDIT_LIST", "NO_SUCH_ROUTE"]});
    let answer = auth.send("POST", "/api/role", body).await;
    assert_eq!(statuses(&answer), (400, 1));
    assert!(
        answer.json()["errors"]["permissions"].as_str().unwrap().contains("NO_SUCH_ROUTE"),
        "{}",
        answer.text()
    );
    assert_eq!(auth.good("GET", "/api/role", json!(null)).await["total"], 1, "a refused role was made");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_builtin_role_stays_and_lists_are_searched() {
    let auth = Auth::start().await;
    assert_eq!(statuses(&auth.send("DELETE", "/api/role/1", json!(null)).await), (400, 2));
    auth.role("clerks", &[]).await;
    let list = auth.good("GET", "/api/role?search=CLERK", json!(null)).await;
    assert_eq!((&list["total"], &list["data"][0]["name"]), (&json!(1), &json!("clerks")));
    let all = auth.good("GET", "/api/role?limit=1", json!(null)).await;
    assert_eq!(
        (&all["total"], &all["last_page"], &all["data"][0]["builtin"]),
        (&json!(2), &json!(2), &json!(true))
    );
    let admin = all["data"][0]["permissions"].as_array().unwrap().len();
    let table: std::collections::BTreeSet<_> = contracts::routes::permissions().collect();
    assert_eq!((admin, &all["data"][0]["account_count"]), (table.len(), &json!(1)));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_roles_with_one_name_one_is_made() {
    let auth = Auth::start().await;
    let answers =
        join_all(["Clerks", "clerks", "CLERKS"].map(|n| auth.send("POST", "/api/role", json!({"name": n}))))
            .await;
    let mut got: Vec<_> = answers.iter().map(statuses).collect();
    got.sort_unstable();
    assert_eq!(got, [(200, 0), (400, 2), (400, 2)]);
    auth.finish().await;
}
