//! The largest answer there is, and a reader who does not read it.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use platform::ids;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use testing::{App, wait_until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{entry, service_goods, start, supplier_key};

const ORDERS: i64 = 100_000;

/// 100,000 orders that wait for their supplier.
async fn fill(app: &App, goods: i64) {
    let first = ids::floor_at(platform::clock::Clock::system().now_ms() - 1000);
    let tx = app.db().write_tx().await.unwrap();
    let sql = format!(
        "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ORDERS})
        INSERT INTO orders (id, number, service_no, version, state, fulfil_state, customer_id, nick_name, avatar,
            mobile, goods_id, kind, report_id, title, cover, price_fen, size, total_fen, checkout_at, updated_at, aa)
        SELECT {first} - n, CAST({first} - n AS TEXT), n, 1, 3, 1, 1, 'n', '', '1', {goods}, 'service', 0, 't', '',
            500, 1, 500, 1, 1, 'https://example.com/' || n FROM s"
    );
    tx.execute_unprepared(&sql).await.unwrap();
    tx.commit().await.unwrap();
}

async fn taken(app: &App) -> i64 {
    let conn = app.db().conn();
    let sql = "SELECT count(*) AS n FROM orders WHERE fulfil_state = 2";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

/// Waits until no more orders are handed out; how many were.
async fn at_rest(app: &App, what: &str) -> i64 {
    let seen = std::cell::Cell::new((-1, 0));
    wait_until(what, async || {
        let now = taken(app).await;
        let (last, times) = seen.get();
        seen.set((now, if now == last { times + 1 } else { 0 }));
        (times >= 30).then_some(now)
    })
    .await
}

/// Asks, and reads until `enough` is in what came.
async fn ask(app: &App, query: &str, enough: &str) -> (TcpStream, String) {
    let address: SocketAddr = app.base().trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET /admin_jiuwuxiaohun.php?m=home&c=api&{query} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 2048];
    while !text.contains(enough) {
        let reading = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut buffer));
        let n = reading.await.expect("an answer that begins").unwrap();
        assert!(n > 0, "the answer ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    (stream, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_of_100_000_orders_waits_for_its_reader_and_who_hangs_up_gets_the_same_rows_again() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    fill(&app, goods).await;
    let base = format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    // The reader takes the first rows and no more: the rest is neither fetched nor handed out behind its back.
    let (stream, begun) = ask(&app, &format!("{base}&batch=b1"), "\"id\":\"10\"").await;
    assert!(begun.contains("200 OK") && begun.contains("\"id\":\"1\""), "the newest come first: {begun}");
    let handed = at_rest(&app, "the download to wait for its reader").await;
    assert!(
        (1000..ORDERS / 4).contains(&handed),
        "{handed} of {ORDERS} were handed out to a reader who waits"
    );
    // It hangs up. What is handed out after that is a chunk at most.
    drop(stream);
    let lost = at_rest(&app, "the download to end").await;
    assert!(lost <= handed + 1000, "{lost} after {handed}");
    // The same batch brings exactly what was handed out, and takes nothing more.
    for _ in 0..2 {
        let again = entry(&app, &format!("{base}&batch=b1")).await;
        let rows = again["rows"].as_array().unwrap();
        let different: HashSet<&str> = rows.iter().map(|r| r["id"].as_str().unwrap()).collect();
        assert_eq!((rows.len(), different.len()), (lost as usize, lost as usize));
        assert!(different.contains("1") && different.contains("10"), "what it had seen is among them");
        assert_eq!(taken(&app).await, lost);
    }
    // The next batch brings others.
    let next = entry(&app, &format!("{base}&batch=b2&page=1&page_size=5")).await;
    let ids: Vec<i64> =
        next["rows"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, (lost + 1..=lost + 5).collect::<Vec<_>>());
    assert_eq!(next["total"], ORDERS - lost);
    bed.finish().await;
}
