//! The gateway's own pages: probes, document, API browser, console.

use std::{collections::HashSet, fs};

use serde_json::Value;

use crate::support::{Bed, Mode, Plan, answer, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_tell_what_is_missing_and_only_to_neighbours() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        for (path, says) in [("/healthz", "ok"), ("/readyz", "ready"), ("/metrics", "gateway_requests_total")]
        {
            let _ = bed.get("/api/report").bearer_auth(token(1)).send().await.unwrap();
            let response = bed.get(path).send().await.unwrap();
            assert_eq!(response.status().as_u16(), 200, "{mode:?} {path}");
            assert!(response.text().await.unwrap().contains(says), "{path}");
            // From here, but passed on by somebody: the sender may be anybody.
            for relayed in ["x-forwarded-for", "x-real-ip", "forwarded"] {
                let response = bed.get(path).header(relayed, "127.0.0.1").send().await.unwrap();
                assert_eq!(response.status().as_u16(), 404, "{path} {relayed}");
            }
        }
        let metrics = bed.get("/metrics").send().await.unwrap().text().await.unwrap();
        assert!(
            metrics.contains("route=\"PAYMENT_REPORT_LIST\"") && !metrics.contains("/api/report"),
            "{metrics}"
        );
        bed.readiness.set(false);
        let response = bed.get("/readyz").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 503);
        assert!(response.text().await.unwrap().contains("stopping"));
        assert_eq!(bed.get("/healthz").send().await.unwrap().status().as_u16(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_do_not_exist_for_the_outside_behind_a_trusted_proxy() {
    let bed =
        Plan::new(Mode::Proxied).settings(|s| s.gateway.trusted_proxies = "127.0.0.1".into()).start().await;
    let outside = bed.get("/metrics").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(answer(outside).await.0, 404);
    let inside = bed.get("/metrics").header("x-forwarded-for", "10.1.2.3");
    assert_eq!(answer(inside).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_open_valid_and_asked_for_once() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let response = bed.get("/api/openapi.json").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        let document: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1") && document["paths"].is_object());
        let again = bed.get("/api/openapi.json").header("if-none-match", &tag).send().await.unwrap();
        assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0));
    }
}

/// What a page's tags load.
fn loaded(html: &str) -> HashSet<String> {
    let quoted = |attribute: &str| {
        let marks = html.split(attribute).skip(1);
        marks.filter_map(|rest| rest.split('"').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    quoted("src=\"").into_iter().chain(quoted("href=\"")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_browser_comes_from_here_alone() {
    let bed = Bed::new(Mode::Mounted).await;
    for start in ["/docs", "/docs/"] {
        let response = bed.get(start).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["location"]),
            (302, &"/docs/index.html".parse().unwrap())
        );
    }
    let page = bed.get("/docs/index.html").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(
        !html.contains("<script>") && !html.contains("<style>"),
        "inline code the policy forbids: {html}"
    );
    let files = loaded(&html);
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(!file.contains("//"), "{file} lies on another host");
        let response = bed.get(&format!("/docs/{}", file.trim_start_matches("./"))).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{file}");
    }
    let start = bed.get("/docs/swagger-initializer.js").send().await.unwrap().text().await.unwrap();
    assert!(start.contains("/api/openapi.json"), "{start}");
    assert_eq!(answer(bed.get("/docs/nothing.js")).await.0, 404);
    let packed =
        bed.get("/docs/swagger-ui-bundle.js").header("accept-encoding", "br, gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().await.unwrap().len() < 600_000);
    let refused = bed.get("/docs/swagger-ui.css").header("accept-encoding", "gzip;q=0").send().await.unwrap();
    assert!(!refused.headers().contains_key("content-encoding"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_console_the_start_page_says_what_this_is() {
    for mode in Mode::BOTH {
        let bed = Bed::new(mode).await;
        let page = bed.get("/").send().await.unwrap();
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        let html = page.text().await.unwrap();
        assert!(html.contains("报单") && html.contains("/docs") && !html.contains("<script"), "{html}");
        assert_eq!(answer(bed.get("/orders")).await.0, 404);
        let head = bed.client.head(bed.url("/")).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (200, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consoles_files_are_served_and_its_paths_lead_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("console");
    fs::create_dir_all(dir.join("assets")).unwrap();
    fs::write(dir.join("index.html"), "<!doctype html><title>console</title>").unwrap();
    fs::write(dir.join("assets/app-1a2b.js"), "export {};").unwrap();
    fs::write(dir.join("assets/图.svg"), "<svg/>").unwrap();
    fs::write(dir.join(".env"), "SECRET=1").unwrap();
    fs::write(folder.path().join("outside.txt"), "SECRET=2").unwrap();
    let bed = Plan::new(Mode::Proxied).settings(move |s| s.gateway.console_dir = Some(dir)).start().await;
    for path in ["/", "/orders", "/orders/A1/timeline", "/index.html"] {
        let page = bed.get(path).send().await.unwrap();
        assert_eq!(
            (page.status().as_u16(), &page.headers()["cache-control"]),
            (200, &"no-cache".parse().unwrap()),
            "{path}"
        );
        assert!(page.text().await.unwrap().contains("<title>console"), "{path}");
    }
    let script = bed.get("/assets/app-1a2b.js").send().await.unwrap();
    assert!(script.headers()["content-type"].to_str().unwrap().starts_with("text/javascript"));
    assert!(script.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(bed.get("/assets/%E5%9B%BE.svg").send().await.unwrap().text().await.unwrap(), "<svg/>");
    for path in
        ["/assets/old.js", "/.env", "/../outside.txt", "/assets/../../outside.txt", "/%2e%2e/outside.txt"]
    {
        let raw = bed.raw(&format!("GET {path} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")).await;
        assert!(raw.starts_with("HTTP/1.1 404") && !raw.contains("SECRET"), "{path}: {raw}");
    }
    for path in ["/api/nothing", "/api"] {
        assert_eq!(answer(bed.get(path)).await.1["status"], 7, "{path} is no page of the console");
    }
}
