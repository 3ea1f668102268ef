//! The order of 401/6, 403/4, 403/5 and 403/3, on every route of the table.

use contracts::routes::{self, Access};
use serde_json::Value;

use crate::support::{Bed, Mode, Plan, answer, concrete, statuses, token};

fn request(bed: &Bed, route: &routes::Route, account: i64) -> reqwest::RequestBuilder {
    let method = reqwest::Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
    let request = bed.client.request(method, bed.url(&concrete(route)));
    if account == 0 { request } else { request.bearer_auth(token(account)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_opens_to_those_it_names_and_to_nobody_else() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for route in routes::all() {
            let mut seen = Vec::new();
            for account in [0, 2, 1, 7] {
                let (http, body) = answer(request(&bed, route, account)).await;
                seen.push(if body["echo"] == true {
                    (200, 0)
                } else {
                    (http, body["status"].as_i64().unwrap_or(-1))
                });
            }
            let (open, login, grant) = ((200, 0), (401, 6), (403, 3));
            // Nobody, an account without permissions, one with all of them, a partner's login.
            let expected = match route.access {
                Access::Public | Access::Key => [open, open, open, open],
                Access::SignedIn => [login, open, open, open],
                Access::Account | Access::AccountUnlessOpened => [login, grant, open, grant],
                Access::AccountOrPartner => [login, grant, open, open],
            };
            assert_eq!(seen, expected, "{mode:?} {} {}", route.method.as_str(), route.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_route_comes_before_what_the_account_lacks() {
    for mode in Mode::BOTH {
        let plan = Plan::new(mode).policy(|p| {
            p.registered.retain(|n| n != "PAYMENT_REPORT_LIST" && n != "CALLBACK_DELIVERY_LIST");
            for role in p.roles.values_mut() {
                role.retain(|n| n != "PAYMENT_REPORT_INFO" && n != "CALLBACK_DELIVERY_INFO");
            }
        });
        let bed = plan.start().await;
        for account in [1, 2, 7] {
            let of = |path: &str| statuses(bed.get(path).bearer_auth(token(account)));
            assert_eq!(of("/api/report").await, (403, 4), "not registered, account {account}");
            assert_eq!(of("/api/report/1").await, (403, 5), "in no role, account {account}");
            assert_eq!(of("/api/callback/delivery").await, (403, 4), "not registered, account {account}");
        }
        assert_eq!(statuses(bed.get("/api/report")).await, (401, 6), "no token comes before everything");
        assert_eq!(statuses(bed.get("/api/report").bearer_auth(token(3))).await, (401, 6));
        assert_eq!(statuses(bed.get("/api/goods").bearer_auth(token(2))).await, (403, 3));
        // A partner is let in by what it is, not by a role.
        let (status, body) = answer(bed.get("/api/callback/delivery/1").bearer_auth(token(7))).await;
        assert_eq!((status, &body["identity"]["caller"]["partner_id"]), (200, &Value::from(70)));
        assert_eq!(statuses(bed.get("/api/callback/delivery/1").bearer_auth(token(1))).await, (403, 5));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_speak_the_callers_language() {
    let bed = Bed::new(Mode::Proxied).await;
    let (_, zh) = answer(bed.get("/api/report").bearer_auth(token(2))).await;
    let (_, en) =
        answer(bed.get("/api/report").bearer_auth(token(2)).header("accept-language", "en-GB")).await;
    assert_eq!(
        (zh["error"].as_str(), en["error"].as_str()),
        (Some("权限不足"), Some("your roles do not hold this permission"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_opens_the_upload_token_to_callers_without_a_credential_and_counts_them() {
    for mode in Mode::BOTH {
        let plan = Plan::new(mode).settings(|s| s.storage.anonymous_upload_token = true);
        let bed = plan.start().await;
        let path = "/api/qiniu/token";
        let (status, body) = answer(bed.get(path)).await;
        assert_eq!((status, &body["identity"]["caller"]["kind"]), (200, &Value::from("anonymous")));
        // A credential that is shown must be good, and everything else stays shut.
        assert_eq!(statuses(bed.get(path).bearer_auth("x.y.z")).await, (401, 6));
        assert_eq!(statuses(bed.get(path).header("authorization", "")).await, (401, 6));
        assert_eq!(statuses(bed.get(path).bearer_auth(token(2))).await, (403, 3));
        for other in ["/api/report", "/api/qiniu/copyfile", "/api/report/downloadurl"] {
            assert_eq!(statuses(bed.get(other)).await, (401, 6), "{other}");
        }
        let mut admitted = 1;
        let refused = loop {
            match answer(bed.get(path)).await {
                (200, _) => admitted += 1,
                refused => break refused,
            }
            assert!(admitted <= 20, "nobody counts");
        };
        assert_eq!((admitted, refused.0, &refused.1["status"]), (20, 429, &Value::from(9)));
        // Those who sign in are not counted with them.
        assert_eq!(answer(bed.get(path).bearer_auth(token(1))).await.0, 200);
        bed.clock.advance_ms(61_000);
        assert_eq!(answer(bed.get(path)).await.0, 200);
    }
}
