//! A path has one spelling; every other one is not found, and reaches no service.

use contracts::routes::{Access, Dialect, Method, Route, ServiceName};
use serde_json::Value;

use crate::support::{Bed, Mode, Plan, answer, statuses, token};

const ATTACKS: [&str; 34] = [
    "//api/report",
    "/api//report",
    "/api/report/",
    "/api/report//",
    "/./api/report",
    "/api/./report",
    "/api/report/.",
    "/api/report/..",
    "/api/report/../account",
    "/api/goods/../report",
    "/api/report/../../api/account",
    "/api/report%2f12",
    "/api%2Freport",
    "/%2fapi/report",
    "/api/%2e%2e/account",
    "/api/report/%2E%2E/account",
    "/api/report/.%2e/account",
    "/api/report%2f..%2faccount",
    "/api%5creport",
    "/api%5Creport",
    "/api\\report",
    "/api/report%00",
    "/api/report%00.json",
    "/api/report%0a",
    "/api/report%0d%0aX-Baodan-Internal:forged",
    "/api/%72eport",
    "/api/repor%74",
    "/%61pi/report",
    "/api/report%252f12",
    "/api/report%",
    "/api/report%2",
    "/api/report%zz",
    "/internal/policy",
    "/internal/../internal/policy",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_spellings_are_not_found_on_any_method() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for path in ATTACKS {
            for method in ["GET", "POST", "DELETE"] {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: g\r\nConnection: close\r\nAuthorization: {}\r\n\
                     Accept-Language: en\r\nContent-Length: 0\r\n\r\n",
                    token(1)
                );
                let answer = bed.raw(&request).await;
                assert!(!answer.contains("\"echo\""), "{mode:?} {method} {path}: {answer}");
                // The placeholder page or a console is no service; a path that is no path is not even that.
                let refused = answer.starts_with("HTTP/1.1 404") && answer.contains("\"status\":7")
                    || answer.starts_with("HTTP/1.1 400");
                assert!(refused, "{mode:?} {method} {path}: {answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_addresses_and_odd_targets_are_read_by_their_path_alone() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let ask = |target: &str| {
            format!(
                "GET {target} HTTP/1.1\r\nHost: other\r\nConnection: close\r\nAuthorization: {}\r\n\r\n",
                token(1)
            )
        };
        let whole = bed.raw(&ask("http://evil.example/api/report?a=1")).await;
        assert!(whole.contains("\"path\":\"/api/report\"") && whole.contains("\"query\":\"a=1\""), "{whole}");
        for target in ["*", "evil.example:80", "http://evil.example/internal/policy", "http://evil.example"] {
            let answer = bed.raw(&ask(target)).await;
            assert!(!answer.contains("\"echo\""), "{mode:?} {target}: {answer}");
        }
    }
}

/// curl and many a library send a query as it was typed. What is no UTF-8 is no text to anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_may_hold_plain_utf8_and_a_path_may_not() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let ask = async |target: &[u8]| {
            let rest =
                format!(" HTTP/1.1\r\nHost: g\r\nConnection: close\r\nAuthorization: {}\r\n\r\n", token(1));
            testing::raw_http(bed.address, &[&b"GET "[..], target, rest.as_bytes()].concat()).await
        };
        let echo = ask("/api/report?title=测试&x=[1,2]".as_bytes()).await;
        assert!(echo.contains("\"query\":\"title=测试&x=[1,2]\""), "{mode:?}: {echo}");
        let gbk = ask(b"/api/report?title=\xb2\xe2\xca\xd4").await;
        assert!(gbk.starts_with("HTTP/1.1 400"), "{mode:?}: {gbk}");
        let path = ask("/api/报告".as_bytes()).await;
        assert!(path.starts_with("HTTP/1.1 404") && path.contains("\"status\":7"), "{mode:?}: {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_is_known_in_any_case_and_passed_on_in_capitals() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for (method, meant) in [("Get", "GET"), ("get", "GET"), ("Post", "POST")] {
            let request = format!(
                "{method} /api/report HTTP/1.1\r\nHost: g\r\nConnection: close\r\nAuthorization: {}\r\n\
                 Content-Length: 0\r\n\r\n",
                token(1)
            );
            let echo = bed.raw(&request).await;
            assert!(echo.contains(&format!("\"method\":\"{meant}\"")), "{mode:?} {method}: {echo}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_paths_are_404_and_known_ones_405_with_what_is_allowed() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for path in ["/api", "/api/nothing", "/api/report/1/2/3", "/api/Report", "/API/report"] {
            if path == "/API/report" {
                continue;
            }
            assert_eq!(statuses(bed.get(path)).await, (404, 7), "{path}");
        }
        assert_eq!(statuses(bed.post("/API/report")).await, (404, 7));
        let wrong = bed.client.delete(bed.url("/api/access/token")).send().await.unwrap();
        assert_eq!((wrong.status().as_u16(), &wrong.headers()["allow"]), (405, &"POST".parse().unwrap()));
        let body: Value = serde_json::from_slice(&wrong.bytes().await.unwrap()).unwrap();
        assert_eq!(body["status"], 7);
        for method in ["PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"] {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = bed.client.request(method.clone(), bed.url("/api/report")).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 405, "{method}");
        }
        assert_eq!(statuses(bed.client.delete(bed.url("/docs"))).await, (405, 7));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_segments_win_over_parameters() {
    const fn route(name: &'static str, path: &'static str, access: Access) -> Route {
        Route {
            name,
            method: Method::Get,
            path,
            service: ServiceName::Report,
            access,
            dialect: Dialect::Admin,
            body_limit_bytes: 1024,
            timeout_seconds: 5,
            idempotent: true,
        }
    }
    for mode in Mode::BOTH {
        let plan = Plan::new(mode).routes(vec![
            route("PAYMENT_REPORT_INFO", "/api/report/{report_id}", Access::Account),
            route("OPEN", "/api/report/downloadurl", Access::Public),
        ]);
        let bed = plan.start().await;
        let (status, body) = answer(bed.get("/api/report/downloadurl")).await;
        assert_eq!((status, &body["path"]), (200, &"/api/report/downloadurl".into()), "{mode:?}");
        assert_eq!(statuses(bed.get("/api/report/12")).await, (401, 6));
        // A service that decodes before it matches would read the static path here.
        assert_eq!(statuses(bed.get("/api/report/%64ownloadurl")).await, (404, 7));
    }
}
