//! An operator at the console: reports, uploads, downloads.

use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use platform::http::{OutgoingSettings, outgoing};
use serde_json::{Value, json};

/// How long an import may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the operator looks whether the import is done.
const LOOK: Duration = Duration::from_millis(5);

pub struct Operator {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// How long an import took.
pub struct Imported {
    /// When the first byte was sent.
    pub started: Instant,
    /// From the first byte sent to the answer, seconds.
    pub answered: f64,
    /// From the first byte sent until it was seen to be done, seconds.
    pub done: f64,
}

impl Operator {
    pub async fn sign_in(base: &str, password: &str) -> Result<Self, String> {
        let limits = OutgoingSettings { total_timeout_seconds: 240, ..OutgoingSettings::default() };
        let http = outgoing(&limits).build().map_err(|e| e.to_string())?;
        let mut operator = Self { http, base: base.into(), token: String::new() };
        let body = json!({"account": "admin", "password": password});
        let request = operator.http.post(format!("{base}/api/access/token")).json(&body);
        operator.token =
            operator.send(request).await?["data"]["token"].as_str().ok_or("there is no token")?.to_owned();
        Ok(operator)
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// `total` of a list's answer.
    pub async fn total(&self, url: &str) -> Result<i64, String> {
        let answer = self.send(self.http.get(url)).await?;
        answer["total"].as_i64().ok_or_else(|| format!("no total in {answer}"))
    }

    /// How many rows a page of a list has.
    pub async fn rows(&self, url: &str) -> Result<usize, String> {
        let answer = self.send(self.http.get(url)).await?;
        answer["date"].as_array().map(Vec::len).ok_or_else(|| format!("no rows in {answer}"))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let request = if self.token.is_empty() { request } else { request.bearer_auth(&self.token) };
        let answer = request.send().await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = answer.text().await.map_err(|e| e.to_string())?;
        if status.is_success() {
            serde_json::from_str(&body).map_err(|e| e.to_string())
        } else {
            Err(format!("{status}: {body}"))
        }
    }

    /// A new report; its id.
    pub async fn report(&self) -> Result<i64, String> {
        let body = json!({
            "title": "bench", "cover": "a.png", "intro": "x", "directory": "x", "price": 1, "read_count": 1, "status": 1,
            "file": {"file_name": "a", "src": "a.pdf", "format": "pdf", "size": 1},
        });
        let answer = self.send(self.http.post(format!("{}/api/report", self.base)).json(&body)).await?;
        answer["date"]["id"].as_i64().ok_or_else(|| format!("no id in {answer}"))
    }

    /// Imports a workbook of `rows` new rows and waits until it is done.
    pub async fn import(&self, report: i64, file: &[u8], rows: i64) -> Result<Imported, String> {
        let mut body =
            b"--bench\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.xlsx\"\r\n\r\n".to_vec();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--bench--\r\n");
        let request = self.http.post(format!("{}/api/report/{report}/excel", self.base)).body(body);
        let started = Instant::now();
        let answer = self.send(request.header("content-type", "multipart/form-data; boundary=bench")).await?;
        let answered = started.elapsed().as_secs_f64();
        let import = &answer["date"]["import_id"];
        let path = format!("{}/api/report/{report}/import/{import}", self.base);
        loop {
            let seen = self.send(self.http.get(&path)).await?;
            let data = &seen["data"];
            if data["state"] == "done" {
                let done = started.elapsed().as_secs_f64();
                let good = data["success"] == rows && data["total"] == rows;
                return if good {
                    Ok(Imported { started, answered, done })
                } else {
                    Err(format!("wrong counts: {data}"))
                };
            }
            if data["state"] != "running" || started.elapsed() > PATIENCE {
                return Err(format!("the import did not come to its end: {data}"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Exports a white list into `path`; seconds to the last byte.
    pub async fn export(&self, report: i64, path: &Path) -> Result<f64, String> {
        let mut file = std::fs::File::create(path).map_err(|e| e.to_string())?;
        let started = Instant::now();
        let request = self.http.get(format!("{}/api/report/{report}/excel", self.base));
        let answer = request.bearer_auth(&self.token).send().await.map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the export answered {}", answer.status()));
        }
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            file.write_all(&chunk.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        }
        Ok(started.elapsed().as_secs_f64())
    }
}
