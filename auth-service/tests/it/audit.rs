use auth_service::audit;
use contracts::{
    events::AuditRecorded,
    identity::{Actor, ActorKind},
};
use platform::lifecycle::Turn;
use serde_json::{Value, json};

use crate::{Auth, PASSWORD, statuses};

async fn entries(auth: &Auth, query: &str) -> Vec<Value> {
    let answer = auth.good("GET", &format!("/api/audit?{query}"), json!(null)).await;
    answer["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_says_who_did_what_from_where_and_how_it_was_before_and_after() {
    let auth = Auth::start().await;
    let id = auth.account("lily", &[]).await;
    auth.good(
        "PUT",
        &format!("/api/account/{id}"),
        json!({"nickname": "莉莉", "password": "Another-pond-5582"}),
    )
    .await;
    let found = entries(&auth, &format!("target=account&target_id={id}")).await;
    assert_eq!(found.len(), 2);
    let entry = &found[0];
    assert_eq!(
        (&entry["action"], &entry["actor_kind"], &entry["actor_id"]),
        (&json!("account.modify"), &json!("account"), &json!(1))
    );
    assert_eq!((&entry["actor_name"], &entry["ip"]), (&json!("admin"), &json!("127.0.0.1")));
    assert_eq!(entry["request_id"].as_str().unwrap().len(), 32);
    assert_eq!((&entry["before"]["nickname"], &entry["after"]["nickname"]), (&json!("lily"), &json!("莉莉")));
    assert_eq!(entry["after"]["password"], "changed");
    assert!(entry["before"].get("password").is_none());
    assert_eq!((&found[1]["action"], &found[1]["before"]), (&json!("account.add"), &json!({})));
    let by_request = entries(&auth, &format!("request_id={}", entry["request_id"].as_str().unwrap())).await;
    assert_eq!(by_request.len(), 1);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_every_thing_leaves_one_entry_and_refused_ones_none() {
    let auth = Auth::start().await;
    let role = auth.role("clerks", &[]).await;
    auth.good("PUT", &format!("/api/role/{role}"), json!({"remark": "x"})).await;
    let account = auth.account("lily", &[]).await;
    auth.good("DELETE", &format!("/api/account/{account}"), json!(null)).await;
    auth.good("DELETE", &format!("/api/role/{role}"), json!(null)).await;
    auth.good("DELETE", "/api/permission/AUDIT_LIST", json!(null)).await;
    auth.good("POST", "/api/permission", json!({"name": "AUDIT_LIST"})).await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}");
    auth.good("PUT", &path, json!({"name": "晨光"})).await;
    let key = auth.good("POST", &format!("{path}/key"), json!({})).await["id"].clone();
    auth.good("PUT", &format!("{path}/key/{key}"), json!({"name": "x"})).await;
    let second = auth.good("POST", &format!("{path}/key/{key}/rotate"), json!({})).await["id"].clone();
    auth.good("DELETE", &format!("{path}/key/{second}"), json!(null)).await;
    let shop = auth.good("POST", "/api/distributor", json!({"partner_id": partner, "name": "x"})).await["id"]
        .clone();
    auth.good("PUT", &format!("/api/distributor/{shop}"), json!({"name": "y"})).await;
    auth.good("DELETE", &format!("/api/distributor/{shop}"), json!(null)).await;
    auth.good("DELETE", &path, json!(null)).await;
    let supplier = auth.supplier("顺达").await;
    let path = format!("/api/supplier/{supplier}");
    auth.good("PUT", &path, json!({"remark": "x"})).await;
    let key = auth.good("POST", &format!("{path}/key"), json!({"goods_ids": [1]})).await["id"].clone();
    auth.good("DELETE", &format!("{path}/key/{key}"), json!(null)).await;
    auth.good("DELETE", &path, json!(null)).await;
    auth.good("POST", "/api/access/revoke", json!({"account_id": 1})).await;
    let token = auth.admin_token().await;
    auth.log_out(&token).await.expect_status(200);
    auth.send("POST", "/api/role", json!({"name": "x", "permissions": ["NO_SUCH"]})).await.expect_status(400);
    auth.send("POST", "/api/account", json!({"account": "admin", "password": PASSWORD, "nickname": "x"}))
        .await
        .expect_status(400);

    let mut actions: Vec<String> = entries(&auth, "limit=1000")
        .await
        .iter()
        .filter(|e| e["actor_kind"] != "system")
        .map(|e| e["action"].as_str().unwrap().to_owned())
        .collect();
    actions.reverse();
    let expected = "role.add role.modify account.add account.delete role.delete permission.delete permission.add \
        partner.add partner.modify partner.key.add partner.key.modify partner.key.rotate partner.key.revoke \
        distributor.add distributor.modify distributor.delete partner.delete supplier.add supplier.modify \
        supplier.key.add supplier.key.revoke supplier.delete access.revoke access.logout";
    assert_eq!(actions, expected.split_whitespace().collect::<Vec<_>>());
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_by_cursor_sees_each_entry_once_while_new_ones_come() {
    let auth = Auth::start().await;
    for i in 0..5 {
        auth.role(&format!("role-{i}"), &[]).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
        let page = auth
            .good("GET", &format!("/api/audit?target=role&action=role.add&limit=2{query}"), json!(null))
            .await;
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|e| e["target_id"].as_str().unwrap().to_owned()),
        );
        auth.role(&format!("late-{}", seen.len()), &[]).await;
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2"]);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_found_by_account_action_and_day() {
    let auth = Auth::start().await;
    let id = auth.account("lily", &[1]).await;
    let body = json!({"name": "hers"});
    auth.app.post("/api/role").as_account(id, "lily").json(&body).send().await.expect_status(200);
    assert_eq!(entries(&auth, &format!("account_id={id}")).await.len(), 1);
    assert_eq!(entries(&auth, "action=account.add&account_id=1").await.len(), 1);
    let today =
        platform::clock::local_date(auth.bed.shared.clock.now_ms(), auth.bed.shared.settings.timezone);
    let (yesterday, tomorrow) = (today.pred_opt().unwrap(), today.succ_opt().unwrap());
    let all = entries(&auth, "").await.len();
    assert_eq!(entries(&auth, &format!("start_date={yesterday}&end_date={tomorrow}")).await.len(), all);
    assert_eq!(entries(&auth, &format!("end_date={}", yesterday.pred_opt().unwrap())).await.len(), 0);
    assert_eq!(entries(&auth, &format!("start_date={}", tomorrow.succ_opt().unwrap())).await.len(), 0);
    for query in ["cursor=x", "cursor=0", "limit=0", "limit=1001", "start_date=soon", "account_id=x"] {
        let answer = auth.send("GET", &format!("/api/audit?{query}"), json!(null)).await;
        assert_eq!(statuses(&answer), (400, 1), "{query}");
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_other_services_are_kept_once_under_the_time_they_happened() {
    let auth = Auth::start().await;
    auth.role("first", &[]).await;
    let now = auth.bed.shared.clock.now_ms();
    let change = |n: i64, at: i64| AuditRecorded {
        actor: Actor { kind: ActorKind::Account, id: 7, name: "丽丽".into() },
        action: "report.modify".into(),
        target: "report".into(),
        target_id: n.to_string(),
        before: json!({"price": n}),
        after: Value::Null,
        request_id: format!("{n:032}"),
        ip: "10.0.0.1".into(),
        at,
    };
    // 1,200 at once, and one that was held up for two days.
    let day = 86_400_000;
    let mut events: Vec<_> = (1..=1200).map(|n| auth.bed.event(&change(n, now + 60_000 + n))).collect();
    events.push(auth.bed.event(&change(9999, now - 2 * day)));
    auth.bed.publish(&events).await;
    auth.bed.publish(&events[..10]).await;
    auth.bed.settle().await;
    assert_eq!(entries(&auth, "target=report&limit=1000").await.len(), 1000);
    let newest = &entries(&auth, "limit=1").await[0];
    assert_eq!(
        (&newest["target_id"], &newest["actor_name"], &newest["ip"]),
        (&json!("1200"), &json!("丽丽"), &json!("10.0.0.1"))
    );
    assert_eq!((&newest["before"], &newest["after"]), (&json!({"price": 1200}), &json!({})));
    let late = entries(&auth, "target=report&target_id=9999").await;
    assert_eq!((late.len(), &late[0]["at"]), (1, &json!((now - 2 * day) / 1000)));
    let before_yesterday = platform::clock::local_date(now - 2 * day, auth.bed.shared.settings.timezone);
    let then = entries(&auth, &format!("start_date={before_yesterday}&end_date={before_yesterday}")).await;
    assert_eq!(then.iter().map(|e| &e["target_id"]).collect::<Vec<_>>(), [&json!("9999")]);
    let (mut seen, mut query) = (0, "account_id=7&limit=500".to_owned());
    loop {
        let page = auth.good("GET", &format!("/api/audit?{query}"), json!(null)).await;
        seen += page["data"].as_array().unwrap().len();
        match page["next_cursor"].as_str().unwrap() {
            "" => break,
            cursor => query = format!("account_id=7&limit=500&cursor={cursor}"),
        }
    }
    assert_eq!(seen, 1201);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_kept_for_ever_unless_the_house_says_how_long() {
    let auth = Auth::start().await;
    let (now, day) = (auth.bed.shared.clock.now_ms(), 86_400_000);
    let change = |n: i64, at: i64| AuditRecorded {
        actor: Actor { kind: ActorKind::Account, id: 7, name: "丽丽".into() },
        action: "report.modify".into(),
        target: "report".into(),
        target_id: n.to_string(),
        before: Value::Null,
        after: Value::Null,
        request_id: format!("{n:032}"),
        ip: "10.0.0.1".into(),
        at,
    };
    // More than one turn takes, and two that are young enough.
    let mut events: Vec<_> = (1..=1001).map(|n| auth.bed.event(&change(n, now - 400 * day - n))).collect();
    events.push(auth.bed.event(&change(2000, now - 364 * day)));
    events.push(auth.bed.event(&change(2001, now)));
    auth.bed.publish(&events).await;
    auth.bed.settle().await;
    let forget = async |days| audit::jobs::forget(auth.app.db(), &auth.bed.shared.clock, days).await.unwrap();
    assert_eq!(forget(0).await, Turn::Idle);
    assert_eq!(entries(&auth, "target=report&limit=1000").await.len(), 1000);
    assert_eq!((forget(365).await, forget(365).await), (Turn::Done, Turn::Idle));
    let left = entries(&auth, "target=report&limit=1000").await;
    assert_eq!(left.iter().map(|e| &e["target_id"]).collect::<Vec<_>>(), [&json!("2001"), &json!("2000")]);
    auth.finish().await;
}
