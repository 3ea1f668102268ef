//! The 23 endpoints of `spec/report-admin-api.md` through the real gateway: who may call them, every example of the
//! seed as a request, and the keys and types of every answer.

mod access;
mod examples;
mod imports;
mod schema;
mod shape;

use std::{collections::BTreeSet, sync::Mutex};

use contracts::routes::{self, Route};
use serde_json::{Value, json};
use testing::{Answer, Client};

use crate::system::{PASSWORD, System};

/// The contract's endpoints in its own order: permission name, method, path.
pub const ENDPOINTS: [(&str, &str, &str); 23] = [
    ("GET_BEARER_TOKEN", "POST", "/api/access/token"),
    ("PAYMENT_REPORT_LIST", "GET", "/api/report"),
    ("PAYMENT_REPORT_ADD", "POST", "/api/report"),
    ("PAYMENT_REPORT_INFO", "GET", "/api/report/{report_id}"),
    ("PAYMENT_REPORT_MODIFY", "PUT", "/api/report/{report_id}"),
    ("PAYMENT_REPORT_DELETE", "DELETE", "/api/report/{report_id}"),
    ("REPORT_WHITE_LIST", "GET", "/api/report/{report_id}/white"),
    ("REPORT_WHITE_ADD", "POST", "/api/report/{report_id}/white"),
    ("REPORT_WHITE_INFO", "GET", "/api/report/{report_id}/white/{white_list_id}"),
    ("REPORT_WHITE_EDIT", "PUT", "/api/report/{report_id}/white/{white_list_id}"),
    ("REPORT_WHITE_IMPORT", "POST", "/api/report/{report_id}/excel"),
    ("REPORT_WHITE_EXPORT", "GET", "/api/report/{report_id}/excel"),
    ("GET_REPORT_CUSTOMER", "GET", "/api/report/{report_id}/customer"),
    ("GET_REPORT_DOWNLOADURL", "GET", "/api/report/downloadurl"),
    ("WHITE_LIST_EXAMPLE", "GET", "/api/white/example"),
    ("WHITE_EXPORT_CONVERT", "POST", "/api/white/example"),
    ("GET_QINIU_TOKEN", "GET", "/api/qiniu/token"),
    ("QINIU_COPY_FILE", "GET", "/api/qiniu/copyfile"),
    ("Payment_Customer_List", "GET", "/api/customer"),
    ("Payment_Customer_Info", "GET", "/api/customer/{customer_id}/order"),
    ("Payment_Customer_Total", "GET", "/api/customer/{customer_id}"),
    ("Payment_Order_List", "GET", "/api/order"),
    ("Payment_Order_Info", "GET", "/api/order/{number}"),
];

/// The routes of the table that the contract describes; one endpoint takes two methods.
fn endpoints() -> Vec<&'static Route> {
    let described = |r: &&Route| ENDPOINTS.iter().any(|e| (e.0, e.2) == (r.name, r.path));
    routes::all().filter(described).collect()
}

/// An operator at the gateway.
struct Operator {
    client: Client,
    token: String,
    /// Endpoints of which an answer was checked.
    checked: Mutex<BTreeSet<&'static str>>,
}

impl Operator {
    async fn sign_in(system: &System) -> Self {
        let client = Client::plain(&system.url);
        let token = token(&client, "admin", PASSWORD).await;
        Self { client, token, checked: Mutex::default() }
    }

    fn request(&self, method: &str, path: &str) -> testing::Request {
        self.client.request(method.parse().unwrap(), path).bearer(&self.token)
    }

    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// Asks as the seed's `curl --request {method} --url {path}` does, which changes nothing of either.
    async fn curl(&self, method: &str, path: &str) -> Value {
        let address = self.client.base().trim_start_matches("http://");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
             Authorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.token
        );
        let answer = testing::raw_http(address.parse().unwrap(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        // Whether it came in chunks or not.
        serde_json::from_str(&answer[answer.find('{').unwrap()..=answer.rfind('}').unwrap()]).unwrap()
    }

    /// An answer has the keys and types of the seed's example, and those of the list in git.
    #[track_caller]
    fn check(&self, name: &'static str, example: &Value, answer: &Value) {
        shape::assert_like(example, answer);
        schema::assert_described(name, answer);
        self.checked.lock().unwrap().insert(name);
    }

    /// The answer is a workbook to be saved.
    #[track_caller]
    fn check_file(&self, name: &'static str, answer: &Answer) {
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        assert!(answer.bytes().starts_with(b"PK"), "{name}");
        assert!(answer.header("content-disposition").starts_with("attachment"), "{name}");
        assert!(answer.header("content-type").ends_with("spreadsheetml.sheet"), "{name}");
        self.checked.lock().unwrap().insert(name);
    }

    #[track_caller]
    fn checked_all(&self) {
        let checked = self.checked.lock().unwrap();
        let missing: Vec<&str> = ENDPOINTS.iter().map(|e| e.0).filter(|e| !checked.contains(e)).collect();
        assert!(missing.is_empty(), "no answer was checked of {missing:?}");
    }

    /// Sends a body as it stands in the seed.
    async fn json(&self, method: &str, path: &str, body: &str) -> Value {
        self.request(method, path)
            .body("application/json", body.to_owned())
            .send()
            .await
            .expect_status(200)
            .json()
    }

    /// Makes an account without any permission; its token.
    async fn powerless(&self) -> String {
        let password = "Nothing-to-see-4711";
        let body = json!({"account": "powerless", "nickname": "无权", "password": password, "role_ids": []});
        self.json("POST", "/api/account", &body.to_string()).await;
        token(&self.client, "powerless", password).await
    }
}

async fn token(client: &Client, account: &str, password: &str) -> String {
    let body = json!({"account": account, "password": password});
    let answer = client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
    answer["data"]["token"].as_str().unwrap().to_owned()
}

fn multipart(fields: &[(&str, &str)], name: &str, file: &[u8]) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    for (field, value) in fields {
        let part = format!("--bao\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "--bao\r\ncontent-disposition: form-data; name=\"file\"; filename=\"";
    body.extend_from_slice(
        format!("{head}{name}\"\r\ncontent-type: application/octet-stream\r\n\r\n").as_bytes(),
    );
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--bao--\r\n");
    ("multipart/form-data; boundary=bao", body)
}

async fn upload(operator: &Operator, path: &str, name: &str, file: &[u8]) -> Value {
    let (kind, body) = multipart(&[], name, file);
    operator.request("POST", path).body(kind, body).send().await.expect_status(200).json()
}
