//! No header of a client says who it is, in no spelling, on no route; what a service sees is ours.

use contracts::routes::{self, Access};
use serde_json::{Value, json};

use crate::support::{Bed, Mode, Plan, answer, concrete, token};

/// Names that a service, a proxy or a framework might read as an identity.
const FORGED: [&str; 25] = [
    "X-Baodan-Internal: forged",
    "x-baodan-internal: forged",
    "X-BAODAN-INTERNAL: forged",
    "X_Baodan_Internal: forged",
    "x-baodan_internal: forged",
    "x.baodan.internal: forged",
    "X-Baodan-Internal2: forged",
    "X-Baodan-Account: 1",
    "X-Account-Id: forged",
    "X-User-Id: forged",
    "X-User: forged",
    "X-Role: forged",
    "X-Partner-Id: forged",
    "Partner-Id: forged",
    "X-Authenticated-User: forged",
    "Remote-User: forged",
    "X-Forwarded-User: forged",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: forged",
    "X-Forwarded-Host: forged",
    "X-Real-IP: 6.6.6.6",
    "Forwarded: for=6.6.6.6",
    "X-Original-URL: /api/account",
    "X-HTTP-Method-Override: DELETE",
    "Cookie: account=1; forged=1",
];

/// What may arrive at a service, besides a credential on key entries.
const ALLOWED: [&str; 21] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-length",
    "content-type",
    "content-encoding",
    "date",
    "host",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "traceparent",
    "transfer-encoding",
    "user-agent",
    "x-baodan-internal",
    "x-device-id",
    "x-request-id",
];

fn body_of(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

fn headers_of(echo: &Value) -> Vec<(String, String)> {
    let pair = |h: &Value| (h[0].as_str().unwrap().to_owned(), h[1].as_str().unwrap().to_owned());
    echo["headers"].as_array().unwrap().iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_identities_reach_no_service_on_any_route() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for route in routes::all() {
            let account = if route.access == Access::Public { 0 } else { 1 };
            let request = format!(
                "{} {} HTTP/1.1\r\nHost: gateway\r\nConnection: close, X-Account-Id\r\nAuthorization: Bearer {}\r\n{}\r\n\
                 Sign: s\r\nX-Api-Key: k\r\nContent-Length: 0\r\n\r\n",
                route.method.as_str(),
                concrete(route),
                token(1),
                FORGED.join("\r\n"),
            );
            let echo = body_of(&bed.raw(&request).await);
            let what = format!("{mode:?} {} {}", route.method.as_str(), route.path);
            let headers = headers_of(&echo);
            for (name, value) in &headers {
                let key = matches!(name.as_str(), "authorization" | "x-api-key" | "sign");
                assert!(
                    ALLOWED.contains(&name.as_str()) || (key && route.access == Access::Key),
                    "{what}: {name} arrived"
                );
                assert!(!value.contains("forged") && !value.contains("6.6.6.6"), "{what}: {name}: {value}");
            }
            let internal = headers.iter().filter(|(n, _)| n == "x-baodan-internal").count();
            assert_eq!(internal, 1, "{what}");
            let identity = &echo["identity"];
            assert_eq!(identity["ip"], "127.0.0.1", "{what}");
            let anonymous = matches!(route.access, Access::Public | Access::Key);
            let expected = if anonymous { 0 } else { account };
            assert_eq!(identity["caller"]["account_id"], expected, "{what}: {echo}");
            assert_eq!(echo["method"], route.method.as_str(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_needs_arrives_once() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let request = format!(
            "POST /api/report?b=2&a=%20 HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nAuthorization: {}\r\n\
             Content-Type: application/json\r\nContent-Type: text/plain\r\nIdempotency-Key: one\r\n\
             Idempotency-Key: two\r\nAccept: a/b\r\nAccept: c/d\r\nUser-Agent: shop\r\nX-Device-Id: d\r\n\
             Content-Length: 7\r\n\r\n{{\"a\":1}}",
            token(1)
        );
        let echo = body_of(&bed.raw(&request).await);
        let headers = headers_of(&echo);
        let all = |name: &str| {
            headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(all("content-type"), ["application/json"], "{mode:?}");
        assert_eq!(all("idempotency-key"), ["one"]);
        assert_eq!(all("accept"), ["a/b", "c/d"]);
        assert_eq!((all("user-agent"), all("x-device-id")), (vec!["shop"], vec!["d"]));
        assert_eq!(all("content-length"), ["7"]);
        assert_eq!((&echo["body"], &echo["query"]), (&json!("{\"a\":1}"), &json!("b=2&a=%20")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_is_kept_if_it_is_one_and_the_answer_tells_it() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for (sent, kept) in
            [(Some("shop-1.2_3"), true), (None, false), (Some("a b"), false), (Some("<x>"), false)]
        {
            let mut request = bed.get("/api/report").bearer_auth(token(1)).header("traceparent", TRACE);
            if let Some(id) = sent {
                request = request.header("x-request-id", id);
            }
            let response = request.send().await.unwrap();
            let told = response.headers()["x-request-id"].to_str().unwrap().to_owned();
            let echo: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            assert_eq!(sent == Some(told.as_str()), kept, "{mode:?} {sent:?} {told}");
            assert_eq!(echo["identity"]["request_id"], told.as_str());
            let headers = headers_of(&echo);
            assert!(headers.contains(&("x-request-id".into(), told)), "{headers:?}");
            assert!(headers.contains(&("traceparent".into(), TRACE.into())), "{headers:?}");
        }
        let (_, echo) =
            answer(bed.get("/api/report").bearer_auth(token(1)).header("traceparent", "nonsense")).await;
        assert!(headers_of(&echo).iter().all(|(n, _)| n != "traceparent"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_behind_a_trusted_proxy_is_the_one_it_names() {
    for mode in Mode::BOTH {
        let plan = Plan::new(mode).settings(|s| s.gateway.trusted_proxies = "127.0.0.0/8,10.0.0.0/8".into());
        let bed = plan.start().await;
        let request = bed.get("/api/report").bearer_auth(token(1));
        let (_, echo) = answer(request.header("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.3")).await;
        assert_eq!(echo["identity"]["ip"], "203.0.113.9", "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_may_ask_so_often_and_no_more() {
    for mode in Mode::BOTH {
        let plan = Plan::new(mode).settings(|s| {
            s.gateway.requests_per_second = 3;
            s.gateway.trusted_proxies = "127.0.0.1".into();
        });
        let bed = plan.start().await;
        let ask =
            |from: &'static str| bed.get("/api/report").bearer_auth(token(1)).header("x-forwarded-for", from);
        for _ in 0..3 {
            assert_eq!(answer(ask("203.0.113.9")).await.0, 200);
        }
        let refused = ask("203.0.113.9").send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &"1".parse().unwrap())
        );
        assert_eq!(answer(ask("203.0.113.10")).await.0, 200, "another address is not to blame");
        bed.clock.advance_ms(1000);
        assert_eq!(answer(ask("203.0.113.9")).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_carry_what_protects_a_browser_and_nothing_of_the_inside() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for path in ["/api/report", "/api/nothing", "/docs/index.html", "/", "/healthz"] {
            let response = bed.get(path).bearer_auth(token(1)).send().await.unwrap();
            let headers = response.headers();
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(headers["x-frame-options"], "DENY", "{path}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
            assert!(!headers.contains_key("server") && !headers.contains_key("x-baodan-internal"), "{path}");
            let page = !path.starts_with("/api") && path != "/healthz";
            assert_eq!(headers.contains_key("content-security-policy"), page, "{path}");
            assert_eq!(headers.get("cache-control").is_some_and(|v| v == "no-store"), !page, "{path}");
        }
    }
}
