//! The baseline of the callbacks: the same signed POSTs to the same receiver out of a bare loop, with nothing
//! read, stored, ordered or retried. No sender that also does its duty can be faster with this client.
//!
//! Runs as a child process (`bench bare-sender`), so that its CPU time is its own.

use std::time::{Duration, Instant};

use bench::{proc, receiver};
use clap::Args;
use futures_util::{StreamExt, stream};
use platform::{
    clock::{Clock, rfc3339},
    http::{OutgoingSettings, outgoing},
};
use serde::{Deserialize, Serialize};

/// What the child is told.
#[derive(Debug, Clone, Args)]
pub struct BareArgs {
    /// Address of the receiver.
    #[arg(long)]
    receiver: String,
    /// Endpoints from this number on.
    #[arg(long)]
    first: u32,
    #[arg(long)]
    endpoints: u32,
    #[arg(long)]
    count: u32,
    /// Requests under way at once.
    #[arg(long)]
    parallel: usize,
    /// Requests a second; 0 = as fast as it goes.
    #[arg(long)]
    rate: u32,
    /// Signs all of them.
    #[arg(long)]
    secret: String,
    /// Makes the orders' numbers unique.
    #[arg(long)]
    tag: String,
}

/// What the child says at its end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct BareDone {
    pub seconds: f64,
    pub cpu_seconds: f64,
}

/// One run of the loop, as the parent asks for it.
pub struct Bare<'a> {
    pub receiver: &'a receiver::Receiver,
    /// Endpoints of the bare loop begin here; the system's own are below.
    pub first: u32,
    pub endpoints: u32,
    pub count: usize,
    pub parallel: usize,
    pub rate: u32,
}

impl Bare<'_> {
    /// Starts the child and waits for it.
    pub async fn run(&self, secret: &str) -> Result<BareDone, String> {
        for endpoint in self.first..self.first + self.endpoints {
            self.receiver.trust(endpoint, secret)?;
        }
        let here = std::env::current_exe().map_err(|e| e.to_string())?;
        let output = tokio::process::Command::new(here)
            .arg("bare-sender")
            .args(["--receiver", &self.receiver.address.to_string(), "--secret", secret])
            .args(["--first", &self.first.to_string(), "--endpoints", &self.endpoints.to_string()])
            .args(["--count", &self.count.to_string(), "--parallel", &self.parallel.to_string()])
            .args(["--rate", &self.rate.to_string(), "--tag", &platform::seal::random_token(6)])
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(300), output)
            .await
            .map_err(|_| "the bare loop did not end".to_owned())?
            .map_err(|e| e.to_string())?;
        serde_json::from_slice(&output.stdout)
            .map_err(|e| format!("the bare loop failed ({e}): {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The child: sends, then says how long it took.
pub async fn child(arguments: &BareArgs) -> Result<(), String> {
    let client = outgoing(&OutgoingSettings::default()).build().map_err(|e| e.to_string())?;
    let key = receiver::key(&arguments.secret).ok_or("no secret")?;
    let started = Instant::now();
    let mut pace =
        (arguments.rate > 0).then(|| tokio::time::interval(Duration::from_secs(1) / arguments.rate));
    let (sender, incoming) = tokio::sync::mpsc::channel(1);
    let feeding = async move {
        for i in 0..arguments.count {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            if sender.send(i).await.is_err() {
                break;
            }
        }
    };
    let numbers = stream::unfold(incoming, |mut rx| async { rx.recv().await.map(|i| (i, rx)) });
    let sending = numbers.map(|i| post(&client, &key, arguments, i)).buffer_unordered(arguments.parallel);
    let ((), sent) = futures_util::join!(feeding, sending.collect::<Vec<_>>());
    let failed: Vec<String> = sent.into_iter().filter_map(Result::err).collect();
    if let Some(first) = failed.first() {
        return Err(format!("{} posts failed, the first: {first}", failed.len()));
    }
    let done = BareDone { seconds: started.elapsed().as_secs_f64(), cpu_seconds: proc::own_cpu_seconds() };
    bench::say(&serde_json::to_string(&done).map_err(|e| e.to_string())?);
    Ok(())
}

async fn post(client: &reqwest::Client, key: &[u8], arguments: &BareArgs, i: u32) -> Result<(), String> {
    let endpoint = arguments.first + i % arguments.endpoints;
    let now_ms = Clock::system().now_ms();
    let body = body(&format!("{}{i:012}", arguments.tag), &rfc3339(now_ms));
    let (id, timestamp) = (format!("evt_{}{i}", arguments.tag), (now_ms / 1000).to_string());
    let answer = client
        .post(format!("http://{}/callback/{endpoint}", arguments.receiver))
        .header("content-type", "application/json")
        .header("webhook-signature", receiver::signature(key, &id, &timestamp, body.as_bytes()))
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .body(body)
        .send()
        .await
        .map_err(|e| e.to_string())?;
    let status = answer.status();
    answer.bytes().await.map_err(|e| e.to_string())?;
    if status.is_success() { Ok(()) } else { Err(format!("answered {status}")) }
}

/// As long as a callback of the `standard` dialect is.
fn body(number: &str, timestamp: &str) -> String {
    format!(
        r#"{{"type":"order.state_changed","timestamp":"{timestamp}","data":{{"number":"{number}","outer_id":"","type":1,"distributor_id":0,"title":"bench goods","goods_id":9,"size":1,"total":"500","state":3,"fulfil_state":2,"order_seq":1,"checkout_at":1795000000,"paid_at":1795000001,"fulfilled_at":0,"updated_at":1795000002,"start_num":0,"now_num":0,"end_num":0,"remark":"","nick_name":"小*","mobile":"184****9907","event":"claim","reason":"","prev_state":3,"prev_fulfil_state":1}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use bench::receiver::{Faults, Receiver};

    #[tokio::test]
    async fn the_loop_sends_what_the_receiver_takes() {
        let receiver = Receiver::start().expect("a receiver");
        let secret = format!("whsec_{}", STANDARD.encode([9; 32]));
        for endpoint in 5..8 {
            receiver.trust(endpoint, &secret).expect("a secret");
        }
        let arguments = BareArgs {
            receiver: receiver.address.to_string(),
            first: 5,
            endpoints: 3,
            count: 50,
            parallel: 8,
            rate: 0,
            secret,
            tag: "t".into(),
        };
        child(&arguments).await.expect("sent");
        assert_eq!((receiver.count(), receiver.faults()), (50, Faults::default()));
        assert!((450.0..800.0).contains(&receiver.mean_bytes()), "{}", receiver.mean_bytes());
        let unknown = BareArgs { first: 70, ..arguments };
        assert!(child(&unknown).await.expect_err("not signed for that endpoint").contains("50 posts failed"));
    }
}
