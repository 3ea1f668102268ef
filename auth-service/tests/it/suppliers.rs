use contracts::events::KeyChanged;
use futures_util::future::join_all;
use serde_json::json;

use crate::{Auth, statuses};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplier_is_made_shown_changed_and_deleted() {
    let auth = Auth::start().await;
    let body = json!({"name": "顺达 😀", "contact": "老王 13800000000", "remark": "夜间可用"});
    let id = auth.good("POST", "/api/supplier", body).await["id"].as_i64().unwrap();
    let path = format!("/api/supplier/{id}");
    let row = auth.good("GET", &path, json!(null)).await;
    assert_eq!(
        (&row["name"], &row["contact"], &row["remark"]),
        (&json!("顺达 😀"), &json!("老王 13800000000"), &json!("夜间可用"))
    );
    assert_eq!((&row["status"], &row["key_count"]), (&json!("enabled"), &json!(0)));
    auth.good("POST", &format!("{path}/key"), json!({"goods_ids": [1]})).await;
    auth.good("PUT", &path, json!({"remark": ""})).await;
    let row = auth.good("GET", &path, json!(null)).await;
    assert_eq!(
        (&row["remark"], &row["contact"], &row["key_count"]),
        (&json!(""), &json!("老王 13800000000"), &json!(1))
    );
    auth.good("DELETE", &path, json!(null)).await;
    assert_eq!(statuses(&auth.send("GET", &path, json!(null)).await), (404, 7));
    assert_eq!(
        statuses(&auth.send("POST", &format!("{path}/key"), json!({"goods_ids": [1]})).await),
        (404, 7)
    );
    let told = auth.bed.published::<KeyChanged>(2).await;
    assert!(!told[1].enabled);
    auth.supplier("顺达 😀").await;
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn names_are_unique_and_lists_filtered() {
    let auth = Auth::start().await;
    let answers = join_all(
        ["Shunda", "shunda", "SHUNDA"].map(|n| auth.send("POST", "/api/supplier", json!({"name": n}))),
    )
    .await;
    let mut got: Vec<_> = answers.iter().map(statuses).collect();
    got.sort_unstable();
    assert_eq!(got, [(200, 0), (400, 2), (400, 2)]);
    let other = auth
        .good("POST", "/api/supplier", json!({"name": "其他", "contact": "Wang", "status": "disabled"}))
        .await;
    assert_eq!(
        statuses(
            &auth.send("PUT", &format!("/api/supplier/{}", other["id"]), json!({"name": "shunda"})).await
        ),
        (400, 2)
    );
    for (query, total) in
        [("", 2), ("search=wang", 1), ("search=SHUN", 1), ("status=enabled", 1), ("status=disabled", 1)]
    {
        let list = auth.good("GET", &format!("/api/supplier?{query}"), json!(null)).await;
        assert_eq!(list["total"], total, "{query}");
    }
    auth.finish().await;
}
