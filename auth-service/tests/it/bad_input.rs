//! Requests nobody should send. None may do harm or be answered with "our fault".

use contracts::routes::{self, Method, ServiceName};
use serde_json::{Value, json};

use crate::{Auth, PASSWORD, statuses};

/// Every route that takes a body, a body it accepts, and the fields it cannot do without.
fn bodies() -> Vec<(&'static str, &'static str, Value, &'static [&'static str])> {
    let account = json!({"account": "lily", "password": PASSWORD, "nickname": "莉莉", "role_ids": [1], "enabled": true});
    let partner = json!({
        "name": "晨光", "login": "chenguang", "password": PASSWORD, "status": "enabled", "privacy": "masked", "goods": [1],
    });
    let key = json!({
        "name": "k", "expires_at": 0, "sign_required": true, "sign_method": "md5", "quota_per_second": 1,
        "quota_per_day": 1, "apiuser": "u", "apipwd": "p", "ip_allow": ["10.0.0.0/8"],
    });
    let role = json!({"name": "clerks", "remark": "r", "permissions": ["AUDIT_LIST"]});
    let supplier = json!({"name": "顺达", "contact": "c", "remark": "r", "status": "enabled"});
    let supplier_key = json!({"goods_ids": [1], "name": "k", "expires_at": 0});
    let distributor = json!({"partner_id": 1, "name": "城南店", "status": "enabled"});
    let rotate = json!({"overlap_seconds": 1});
    vec![
        ("POST", "/api/access/token", json!({"account": "admin", "password": "x"}), &["account", "password"]),
        ("POST", "/api/access/revoke", json!({"account_id": 1}), &["account_id"]),
        (
            "POST",
            "/api/access/password",
            json!({"old_password": "x", "password": PASSWORD}),
            &["old_password", "password"],
        ),
        ("POST", "/api/account", account.clone(), &["account", "password", "nickname"]),
        ("PUT", "/api/account/1", account, &[]),
        ("POST", "/api/role", role.clone(), &["name"]),
        ("PUT", "/api/role/1", role, &[]),
        ("POST", "/api/permission", json!({"name": "SOME_ROUTE"}), &["name"]),
        ("POST", "/api/partner", partner.clone(), &["name"]),
        ("PUT", "/api/partner/1", partner, &[]),
        ("POST", "/api/partner/1/key", key.clone(), &[]),
        ("PUT", "/api/partner/1/key/1", key, &[]),
        ("POST", "/api/partner/1/key/1/rotate", rotate.clone(), &[]),
        ("POST", "/api/distributor", distributor.clone(), &["partner_id", "name"]),
        ("PUT", "/api/distributor/1", distributor, &[]),
        ("POST", "/api/supplier", supplier.clone(), &["name"]),
        ("PUT", "/api/supplier/1", supplier, &[]),
        ("POST", "/api/supplier/1/key", supplier_key.clone(), &["goods_ids"]),
        ("PUT", "/api/supplier/1/key/1", supplier_key, &[]),
        ("POST", "/api/supplier/1/key/1/rotate", rotate, &[]),
    ]
}

#[test]
fn every_route_with_a_body_is_tried() {
    let tried = bodies();
    for route in routes::all().filter(|r| r.service == ServiceName::Auth) {
        if matches!(route.method, Method::Post | Method::Put) && route.name != "ACCESS_LOGOUT" {
            let fits = |path: &str| {
                let (a, b): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.path.split('/').collect());
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| *a == b || b.starts_with('{'))
            };
            let method = route.method.as_str();
            assert!(
                tried.iter().any(|(m, p, ..)| *m == method && fits(p)),
                "{method} {} is not tried",
                route.path
            );
        }
    }
}

async fn lenient() -> Auth {
    Auth::with(platform::clock::Clock::system(), |s| {
        s.auth.login_failures_per_account = 100_000;
        s.auth.login_failures_per_address = 100_000;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_field_is_named_in_json_and_in_a_form() {
    let auth = lenient().await;
    for (method, path, body, required) in bodies() {
        for field in required {
            let mut less = body.clone();
            less.as_object_mut().unwrap().remove(*field);
            for null in [false, true] {
                if null {
                    less[*field] = Value::Null;
                }
                let answer = auth.send(method, path, less.clone()).await;
                assert_eq!(statuses(&answer), (400, 1), "{method} {path} without {field}: {}", answer.text());
                let told = answer.json()["errors"][*field].as_str().unwrap_or_default().to_owned();
                assert!(told.starts_with(&format!(" {field} ")), "{method} {path} without {field}: {told}");
            }
            let form = crate::request(&auth.app, method, path).form("other=1").send().await;
            assert_eq!(statuses(&form), (400, 1), "{method} {path}: form without {field}");
            assert!(form.json()["errors"][*field].is_string());
        }
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_types_lengths_and_characters_are_the_callers_fault() {
    let auth = lenient().await;
    let odd = [
        json!({"a": [1]}),
        json!([[1]]),
        json!("x".repeat(40_000)),
        json!("a\u{0}b"),
        json!("😀"),
        json!("\u{202e}abc"),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(9_223_372_036_854_775_807_u64),
        json!(true),
        json!(""),
        json!("'; DROP TABLE account; --"),
        json!("%"),
    ];
    for (method, path, body, _) in bodies() {
        for field in body.as_object().unwrap().keys() {
            for value in &odd {
                let mut wrong = body.clone();
                wrong[field] = value.clone();
                // What is left of the body is odd as well, so that hardly any of these does something.
                let answer = auth.send(method, path, wrong).await;
                let status = answer.status();
                assert!(status < 500, "{method} {path} {field}={value:.60}: {status} {}", answer.text());
                let known = [200, 400, 401, 403, 404, 429].contains(&status);
                assert!(known, "{method} {path} {field}={value:.60}: {status} {}", answer.text());
            }
        }
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cannot_be_read_are_400_and_too_large_ones_413() {
    let auth = lenient().await;
    for (method, path, body, _) in bodies() {
        let request = || crate::request(&auth.app, method, path);
        let unreadable: [(&str, Vec<u8>); 7] = [
            ("application/json", b"{\"a\": ".to_vec()),
            ("application/json", b"[1]".to_vec()),
            ("application/json", b"null".to_vec()),
            ("application/json", vec![0xff, 0xfe, 0x00]),
            ("text/plain", body.to_string().into_bytes()),
            ("multipart/form-data; boundary=x", b"--x--".to_vec()),
            ("application/x-www-form-urlencoded", b"a=%ff".to_vec()),
        ];
        for (media_type, bytes) in unreadable {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let answer = request().body(media_type, bytes).send().await;
            assert_eq!(statuses(&answer), (400, 1), "{method} {path} {media_type} {shown}");
        }
        let huge = request().json(&json!({"name": "x".repeat(2_000_000)})).send().await;
        assert_eq!(statuses(&huge), (413, 1), "{method} {path}");
    }
    auth.finish().await;
}
