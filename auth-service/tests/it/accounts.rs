use contracts::events::{PolicyChanged, TokenRevoked};
use futures_util::future::join_all;
use serde_json::json;
use testing::ADMIN_PASSWORD;

use crate::{Auth, PASSWORD, statuses};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made_shown_changed_and_deleted() {
    let auth = Auth::start().await;
    let role = auth.role("clerks", &["AUDIT_LIST"]).await;
    let body = json!({"account": "Li.Na@example.com", "password": PASSWORD, "nickname": "李娜 😀", "role_ids": [role]});
    let id = auth.good("POST", "/api/account", body).await["id"].as_i64().unwrap();
    let path = format!("/api/account/{id}");
    let row = auth.good("GET", &path, json!(null)).await;
    assert_eq!((&row["account"], &row["nickname"]), (&json!("Li.Na@example.com"), &json!("李娜 😀")));
    assert_eq!(
        (&row["kind"], &row["partner_id"], &row["enabled"]),
        (&json!("account"), &json!(0), &json!(true))
    );
    assert_eq!(row["role_ids"], json!([role]));
    assert_eq!(row["roles"], json!([{"id": role, "name": "clerks"}]));
    assert_eq!(row["last_login_at"], 0);
    assert!(row["created_at"].as_i64().unwrap() > 1_700_000_000);

    let before = auth.snapshot().await;
    auth.good("PUT", &path, json!({"nickname": "李娜", "role_ids": []})).await;
    let after = auth.snapshot().await;
    assert!(after.version > before.version);
    let account = after.accounts.iter().find(|a| a.id == id).unwrap();
    assert_eq!(
        (account.nickname.as_str(), account.role_ids.len(), account.tokens_valid_from),
        ("李娜", 0, 0)
    );

    auth.good("DELETE", &path, json!(null)).await;
    assert_eq!(statuses(&auth.send("GET", &path, json!(null)).await), (404, 7));
    assert!(auth.snapshot().await.accounts.iter().all(|a| a.id != id));
    auth.log_in("li.na@example.com", PASSWORD).await.expect_status(401);
    assert_eq!(statuses(&auth.send("DELETE", &path, json!(null)).await), (404, 7));
    let told = auth.bed.published::<PolicyChanged>(5).await;
    assert!(told.windows(2).all(|w| w[0].version < w[1].version), "{told:?}");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_paged_and_filtered() {
    let auth = Auth::start().await;
    let role = auth.role("clerks", &[]).await;
    for i in 0..3 {
        auth.account(&format!("clerk_{i}"), &[role]).await;
    }
    auth.partner("chenguang").await;
    let list = async |query: &str| auth.good("GET", &format!("/api/account?{query}"), json!(null)).await;
    let all = list("").await;
    assert_eq!(
        (&all["total"], &all["current_page"], &all["per_page"], &all["last_page"]),
        (&json!(5), &json!(1), &json!(20), &json!(1))
    );
    let page = list("page=2&limit=2").await;
    assert_eq!(
        (&page["current_page"], &page["last_page"], page["data"].as_array().unwrap().len()),
        (&json!(2), &json!(3), 2)
    );
    assert_eq!(list("page=9").await["data"], json!([]));
    for (query, total) in [
        ("search=CLERK_", 3),
        ("search=clerk%25", 0),
        ("search=%5F", 3),
        ("kind=partner", 1),
        ("kind=account", 4),
        ("enabled=0", 0),
        ("enabled=true&kind=account", 4),
    ] {
        assert_eq!(list(query).await["total"], total, "{query}");
    }
    assert_eq!(list(&format!("role_id={role}")).await["total"], 3);
    for query in ["page=0", "limit=-1", "limit=1001", "page=x", "kind=admin", "enabled=maybe", "role_id=x"] {
        let answer = auth.send("GET", &format!("/api/account?{query}"), json!(null)).await;
        assert_eq!(statuses(&answer), (400, 1), "{query}");
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_accounts_with_one_name_one_is_made() {
    let auth = Auth::start().await;
    let names = ["Lily", "lily", "LILY", "lilY", "lily", "LiLy"];
    let answers = join_all(names.map(|name| {
        let body = json!({"account": name, "password": PASSWORD, "nickname": "莉莉"});
        auth.send("POST", "/api/account", body)
    }))
    .await;
    let mut got: Vec<_> = answers.iter().map(statuses).collect();
    got.sort_unstable();
    assert_eq!(got, [(200, 0), (400, 2), (400, 2), (400, 2), (400, 2), (400, 2)]);
    let list = auth.good("GET", "/api/account?search=lily", json!(null)).await;
    assert_eq!(list["total"], 1);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_renaming_and_a_new_password_end_the_tokens() {
    let auth = Auth::start().await;
    let id = auth.account("lily", &[]).await;
    let path = format!("/api/account/{id}");
    let mut account = "lily".to_owned();
    for change in
        [json!({"enabled": false}), json!({"account": "rose"}), json!({"password": "Another-pond-5582"})]
    {
        let token = auth.token(&account, PASSWORD).await;
        assert!(auth.lives(&token).await);
        auth.good("PUT", &path, json!({"nickname": "莉莉", "enabled": true})).await;
        assert!(auth.lives(&token).await, "a change of the nickname ended a token");
        auth.good("PUT", &path, change.clone()).await;
        assert!(!auth.lives(&token).await, "{change}");
        auth.good("PUT", &path, json!({"enabled": true})).await;
        assert!(!auth.lives(&token).await, "{change}: it lives again once the account is enabled");
        if change["account"].is_string() {
            account = "rose".into();
        }
    }
    auth.token("rose", "Another-pond-5582").await;
    assert_eq!(auth.bed.published::<TokenRevoked>(3).await.len(), 3);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_cannot_be_disabled_stripped_or_deleted() {
    let auth = Auth::start().await;
    let plain = auth.role("clerks", &["AUDIT_LIST", "ACCOUNT_MODIFY", "ROLE_MODIFY"]).await;
    auth.account("lily", &[plain]).await;
    let refused = [
        ("PUT", "/api/account/1", json!({"enabled": false})),
        ("PUT", "/api/account/1", json!({"role_ids": [plain]})),
        ("PUT", "/api/account/1", json!({"role_ids": []})),
        ("DELETE", "/api/account/1", json!(null)),
        ("PUT", "/api/role/1", json!({"permissions": ["AUDIT_LIST"]})),
        ("DELETE", "/api/permission/ACCOUNT_MODIFY", json!(null)),
    ];
    for (method, path, body) in refused {
        let version = auth.snapshot().await.version;
        let answer = auth.send(method, path, body.clone()).await;
        assert_eq!(statuses(&answer), (400, 2), "{method} {path} {body}: {}", answer.text());
        assert_eq!(auth.snapshot().await.version, version, "{method} {path} left something behind");
    }
    // With a second one, the first may go.
    auth.account("rose", &[1]).await;
    auth.good("PUT", "/api/account/1", json!({"enabled": false})).await;
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_administrators_who_remove_each_other_leave_one() {
    for round in 0..5 {
        let auth = Auth::start().await;
        let rose = auth.account("rose", &[1]).await;
        let rose_path = format!("/api/account/{rose}");
        let (a, b) = tokio::join!(
            auth.send("DELETE", &rose_path, json!(null)),
            auth.app.put("/api/account/1").as_account(rose, "rose").json(&json!({"role_ids": []})).send(),
        );
        let mut got = [statuses(&a), statuses(&b)];
        got.sort_unstable();
        // Whoever came second lost: the last administrator stays, or the caller holds nothing any more.
        assert_eq!(got[0], (200, 0), "round {round}: {got:?}");
        assert!([(400, 2), (403, 3)].contains(&got[1]), "round {round}: {got:?}");
        let left =
            auth.snapshot().await.accounts.iter().filter(|a| a.enabled && a.role_ids.contains(&1)).count();
        assert_eq!(left, 1, "round {round}");
        auth.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gives_what_he_does_not_hold() {
    let auth = Auth::start().await;
    let clerks = auth.role("clerks", &["ACCOUNT_ADD", "ACCOUNT_MODIFY", "ROLE_ADD", "AUDIT_LIST"]).await;
    let lily = auth.account("lily", &[clerks]).await;
    let as_lily = |method: &str, path: &str, body: serde_json::Value| {
        crate::request(&auth.app, method, path).as_account(lily, "lily").json(&body).send()
    };
    let new = |role_ids: serde_json::Value| json!({"account": "rose", "password": PASSWORD, "nickname": "rose", "role_ids": role_ids});
    let refused = [
        ("POST", "/api/account".to_owned(), new(json!([1]))),
        ("PUT", format!("/api/account/{lily}"), json!({"role_ids": [clerks, 1]})),
        ("PUT", "/api/account/1".to_owned(), json!({"password": "Another-pond-5582"})),
        ("PUT", "/api/account/1".to_owned(), json!({"account": "lily2"})),
        ("POST", "/api/role".to_owned(), json!({"name": "mine", "permissions": ["ROLE_MODIFY"]})),
    ];
    for (method, path, body) in refused {
        let answer = as_lily(method, &path, body.clone()).await;
        assert_eq!(statuses(&answer), (403, 3), "{method} {path} {body}");
    }
    auth.token("admin", ADMIN_PASSWORD).await;
    // Within what she holds she may.
    as_lily("POST", "/api/account", new(json!([clerks]))).await.expect_status(200);
    as_lily("POST", "/api/role", json!({"name": "mine", "permissions": ["AUDIT_LIST"]}))
        .await
        .expect_status(200);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weak_passwords_odd_names_and_unknown_roles_are_refused() {
    let auth = Auth::start().await;
    let good = json!({"account": "lily", "password": PASSWORD, "nickname": "莉莉"});
    for (field, value) in [
        ("password", json!("short")),
        ("password", json!("1234567890")),
        ("password", json!("lily-lily!!")),
        ("password", json!("x".repeat(129))),
        ("password", json!("Lotus\u{0}pond-4471")),
        ("account", json!("li ly")),
        ("account", json!("莉莉😀")),
        ("account", json!("x".repeat(65))),
        ("account", json!("a\u{200b}dmin")),
        ("nickname", json!("a\u{0}b")),
        ("nickname", json!("a\nb")),
        ("role_ids", json!([99])),
        ("enabled", json!("maybe")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = auth.send("POST", "/api/account", body).await;
        assert_eq!(statuses(&answer), (400, 1), "{field} {value}");
        let errors = answer.json()["errors"].clone();
        let named = errors.as_object().unwrap().keys().any(|k| k.starts_with(field));
        assert!(named, "{field} {value}: {errors}");
    }
    let taken = auth
        .send("POST", "/api/account", json!({"account": "Admin", "password": PASSWORD, "nickname": "x"}))
        .await;
    assert_eq!(statuses(&taken), (400, 2));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partners_login_is_changed_with_its_partner_only() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let list = auth.good("GET", "/api/account?kind=partner", json!(null)).await;
    let id = list["data"][0]["id"].as_i64().unwrap();
    assert_eq!(list["data"][0]["partner_id"], partner);
    for (method, body) in
        [("PUT", json!({"role_ids": [1]})), ("PUT", json!({"nickname": "x"})), ("DELETE", json!(null))]
    {
        let answer = auth.send(method, &format!("/api/account/{id}"), body).await;
        assert_eq!(statuses(&answer), (400, 2), "{method}");
    }
    auth.finish().await;
}
