//! Every route is given bad input of every kind through the real gateway: each answer is a clear refusal in
//! the route's dialect or a plain success, never a 5xx, and nothing internal shows.

use contracts::routes::{self, Access, Dialect, Method, Route};
use serde_json::{Map, Value, json};
use testing::{Answer, Client};

use crate::system::{PASSWORD, System};

/// Request fields of a route, as its OpenAPI operation documents them.
fn fields(document: &Value, route: &Route) -> Vec<String> {
    let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    };
    let mut names: Vec<String> =
        schema["properties"].as_object().map(|p| p.keys().cloned().collect()).unwrap_or_default();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let queries = parameters.filter(|p| p["in"] == "query");
    names.extend(queries.map(|p| p["name"].as_str().unwrap_or_default().to_owned()));
    names
}

/// Values nobody asked for.
fn hostile_values() -> Vec<Value> {
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    vec![
        json!(null),
        json!(""),
        json!("   "),
        json!("\u{0}"),
        json!("👩‍👩‍👧‍👦𝔘\u{202e}"),
        json!("x".repeat(70_000)),
        json!(-1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e308),
        json!(0.1),
        json!("1e9"),
        json!("2026-13-45"),
        json!("' OR 1=1 --"),
        json!("<script>alert(1)</script>"),
        json!(true),
        json!([]),
        json!({}),
        json!([{"a": [null, -1, "x"]}]),
        deep,
    ]
}

/// Fails unless the answer is a clear one.
fn assert_clear(route: &Route, what: &str, answer: &Answer) {
    let (status, text) = (answer.status(), answer.text());
    let place = format!("{} {} with {what}", route.name, route.path);
    assert!(status < 500, "{place}: {status} {text}");
    for inside in ["panicked", "sqlx", "sea_orm", "SELECT ", "INSERT ", "/src/", "no such table"] {
        assert!(!text.contains(inside), "{place} shows its inside: {text}");
    }
    if status >= 400 && route.dialect == Dialect::Admin {
        let body = answer.json();
        assert!(body["status"].as_i64().is_some_and(|n| n > 0), "{place}: {text}");
        assert!(body["error"].as_str().is_some_and(|e| !e.is_empty()), "{place}: {text}");
        assert!(body["errors"].is_object(), "{place}: {text}");
    }
}

struct Attack {
    client: Client,
    token: String,
}

impl Attack {
    fn request(&self, route: &Route, path: &str) -> testing::Request {
        let request = self.client.request(route.method.as_str().parse().unwrap(), path);
        if route.access == Access::Key { request } else { request.bearer(&self.token) }
    }

    async fn bodies(&self, route: &Route, path: &str, fields: &[String]) {
        let plain: [(&str, &str, &str); 7] = [
            ("broken JSON", "application/json", "{\"a\": "),
            ("an array", "application/json", "[1, 2]"),
            ("bad UTF-8", "application/json", "\u{fffd}"),
            ("no type", "", "a=1"),
            ("another type", "text/xml", "<a/>"),
            (
                "a hostile form",
                "application/x-www-form-urlencoded",
                "a[b][c][d][e][f][g][h][i][j]=1&a[999999999]=2&%00=%ff",
            ),
            ("an empty object", "application/json", "{}"),
        ];
        for (what, media_type, body) in plain {
            let answer = self.request(route, path).body(media_type, body.to_owned()).send().await;
            assert_clear(route, what, &answer);
        }
        for value in hostile_values() {
            let all: Map<String, Value> = fields.iter().map(|f| (f.clone(), value.clone())).collect();
            let answer = self.request(route, path).json(&Value::Object(all)).send().await;
            let shown: String = value.to_string().chars().take(40).collect();
            assert_clear(route, &shown, &answer);
        }
    }

    async fn queries(&self, route: &Route, path: &str, fields: &[String]) {
        for value in
            ["", "0", "-1", "99999999999999999999", "abc", "%00", "%ff", "%F0%9F%98%80", "1e9", "' OR 1=1"]
        {
            let query: Vec<String> =
                fields.iter().map(|f| format!("{f}={}", value.replace(' ', "+"))).collect();
            let answer = self.request(route, &format!("{path}?{}", query.join("&"))).send().await;
            assert_clear(route, value, &answer);
        }
        let many = format!("{path}?{}", "a=1&".repeat(1500));
        assert_clear(route, "1500 parameters", &self.request(route, &many).send().await);
    }
}

fn paths(route: &Route) -> Vec<String> {
    let fill = |value: &str| {
        route
            .path
            .split('/')
            .map(|s| if s.starts_with('{') { value } else { s })
            .collect::<Vec<_>>()
            .join("/")
    };
    if route.path.contains('{') {
        ["1", "0", "-1", "abc", "99999999999999999999", "%F0%9F%98%80"].into_iter().map(fill).collect()
    } else {
        vec![route.path.to_owned()]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_answers_bad_input_with_a_5xx() {
    let mut system = System::start().await;
    let client = Client::plain(&system.url);
    let document = client.get("/api/openapi.json").send().await.expect_status(200).json();
    let body = json!({"account": "admin", "password": PASSWORD});
    let token = client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
    let attack = Attack { client, token: token["data"]["token"].as_str().unwrap().into() };
    for route in routes::all() {
        // What would end this test's own session, account or rights is attacked in auth-service's tests.
        let own = ["/api/access/", "/api/account", "/api/role", "/api/permission"];
        if route.method != Method::Get && own.iter().any(|p| route.path.starts_with(p)) {
            continue;
        }
        let fields = fields(&document, route);
        for path in paths(route) {
            match route.method {
                Method::Get | Method::Delete => attack.queries(route, &path, &fields).await,
                Method::Post | Method::Put => attack.bodies(route, &path, &fields).await,
            }
        }
    }
    system.stop().await;
}
