//! A large answer: when it begins, how long it takes, what it costs in memory.

use std::{
    io::Read,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bench::system::System;
use futures_util::StreamExt;

use super::{Postgres, Supplier};

/// One download.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub first_byte_ms: f64,
    pub seconds: f64,
    pub bytes: u64,
    /// Resident memory of order-service and gateway together: before, and at most meanwhile.
    pub before_kib: u64,
    pub most_kib: u64,
}

/// All orders that wait, by the drop-in entry, handed out or only read.
pub async fn ours(system: &System, supplier: &Supplier, orders: u64, take: bool) -> Result<Reading, String> {
    let before_kib = memory(system)?;
    let (most, ended) = (AtomicU64::new(before_kib), AtomicBool::new(false));
    let watching = async {
        while !ended.load(Ordering::Relaxed) {
            most.fetch_max(memory(system)?, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<(), String>(())
    };
    let reading = async {
        let read = download(supplier, orders, take).await;
        ended.store(true, Ordering::Relaxed);
        read
    };
    let ((first_byte_ms, seconds, bytes), ()) = tokio::try_join!(reading, watching)?;
    Ok(Reading { first_byte_ms, seconds, bytes, before_kib, most_kib: most.load(Ordering::Relaxed) })
}

async fn download(supplier: &Supplier, orders: u64, take: bool) -> Result<(f64, f64, u64), String> {
    let failed = |e: reqwest::Error| e.without_url().to_string();
    let started = Instant::now();
    let mut body = supplier.call(&format!("&state=wks&chage_state={take}")).await?.bytes_stream();
    let (mut first, mut bytes, mut end) = (None, 0, String::new());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(failed)?;
        first.get_or_insert_with(|| started.elapsed().as_secs_f64() * 1000.0);
        bytes += piece.len() as u64;
        // The last piece may be short.
        end = format!("{end}{}", String::from_utf8_lossy(&piece[piece.len().saturating_sub(40)..]));
        end = end.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    }
    if !end.ends_with(&format!("\"total\":{orders}}}")) {
        return Err(format!("the answer of {orders} orders ends with {end}"));
    }
    Ok((first.unwrap_or(f64::NAN), started.elapsed().as_secs_f64(), bytes))
}

fn memory(system: &System) -> Result<u64, String> {
    let names = ["order-service", "gateway"];
    let members = system.members.iter().filter(|m| names.contains(&m.name.as_str()));
    members.map(|m| m.memory_kib("VmRSS")).sum()
}

/// The same rows by COPY.
pub async fn copy(postgres: &Postgres, goods: i64) -> Result<Reading, String> {
    let sql = format!(
        "SELECT * FROM \"order\".orders WHERE goods_id = {goods} AND fulfil_state = 1 ORDER BY id DESC"
    );
    let mut command = postgres.copying(&sql);
    let read = move || {
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
        let mut output = child.stdout.take().ok_or("psql without an output")?;
        let mut buffer = vec![0; 64 * 1024];
        let (mut first, mut bytes) = (None, 0);
        loop {
            let n = output.read(&mut buffer).map_err(|e| e.to_string())?;
            if n == 0 {
                break;
            }
            first.get_or_insert_with(|| started.elapsed().as_secs_f64() * 1000.0);
            bytes += n as u64;
        }
        child.wait().map_err(|e| e.to_string())?;
        let (first_byte_ms, seconds) = (first.unwrap_or(f64::NAN), started.elapsed().as_secs_f64());
        Ok::<_, String>(Reading { first_byte_ms, seconds, bytes, before_kib: 0, most_kib: 0 })
    };
    tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
}
