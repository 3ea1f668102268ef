use std::time::Duration;

use platform::http::{OutgoingSettings, outgoing};
use testing::{CallbackReceiver, Client, Reply, wait_until};

#[tokio::test]
async fn what_arrives_is_recorded_byte_for_byte_and_in_order() {
    let receiver = CallbackReceiver::start().await;
    let client = Client::plain(&receiver.url(""));
    client.post("/one?x=1").header("X-Sign", "abc").form("a=1&b=%E6%8A%A5").send().await.expect_status(200);
    let answer = client.put("/two").json(&["报", "单"]).send().await;
    assert_eq!(answer.text(), "success");
    client.get("/three").send().await;
    let received = receiver.wait_for(3).await;
    let lines: Vec<_> = received.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(lines, ["POST /one?x=1", "PUT /two", "GET /three"]);
    assert_eq!((received[0].header("x-sign"), received[0].text().as_str()), ("abc", "a=1&b=%E6%8A%A5"));
    assert_eq!(received[0].form()[1], ("b".to_owned(), "报".to_owned()));
    assert_eq!(received[1].json()[1], "单");
    assert!(received[2].body.is_empty() && received[0].at <= received[2].at);
}

#[tokio::test]
async fn answers_follow_the_script() {
    let receiver = CallbackReceiver::start().await;
    let client = Client::plain(&receiver.url(""));
    let status = async |path: &str| client.post(path).send().await.status();
    receiver.answer(Reply::new(503, "later"));
    receiver.answer_at("/good", Reply::new(204, ""));
    receiver.answer_next([Reply::new(500, ""), Reply::with_headers(302, &[("location", "/x")], "")]);
    assert_eq!(status("/good").await, 500);
    assert_eq!(client.post("/good").send().await.header("location"), "/x");
    assert_eq!(status("/good?q=1").await, 204);
    assert_eq!(status("/other").await, 503);
}

#[tokio::test]
async fn a_partner_can_hang_hang_up_and_be_slow() {
    let receiver = CallbackReceiver::start().await;
    let url = receiver.url("/");
    let client = outgoing(&OutgoingSettings::default()).build().unwrap();
    let limit = Duration::from_millis(300);
    receiver.answer_next([
        Reply::close(),
        Reply::hang(),
        Reply::new(200, "slow").after(Duration::from_millis(100)),
        Reply::new(200, "too slow").after(Duration::from_secs(60)),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").after(Duration::ZERO),
    ]);
    let post = || client.post(&url).timeout(limit).body("x").send();
    let closed = post().await.unwrap_err();
    assert!(!closed.is_timeout(), "{closed:?}");
    assert!(post().await.unwrap_err().is_timeout());
    assert_eq!(post().await.unwrap().text().await.unwrap(), "slow");
    assert!(post().await.unwrap_err().is_timeout());
    assert!(post().await.unwrap().text().await.is_err());
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test]
async fn chunked_bodies_and_several_connections_are_understood() {
    let receiver = CallbackReceiver::start().await;
    let chunks = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let two = [&chunks[..], b"POST /d HTTP/1.1\r\nContent-Length: 2\r\n\r\nxyGET"].concat();
    receiver.answer(Reply::new(200, "ok"));
    let sending = tokio::net::TcpStream::connect(receiver.address()).await.unwrap();
    wait_until("the socket takes it", async || sending.try_write(&two).is_ok()).await;
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].text().as_str(), received[1].text().as_str()), ("abcde", "xy"));
    let urls: Vec<_> = (0..50).map(|n| receiver.url(&format!("/{n}"))).collect();
    let client = Client::plain(&receiver.url(""));
    let posts = urls
        .iter()
        .enumerate()
        .map(|(n, _)| client.post(&format!("/{n}")).body("text/plain", vec![b'x'; 70_000]).send());
    futures_util::future::join_all(posts).await;
    let received = receiver.wait_for(52).await;
    assert!(received[2..].iter().all(|r| r.body.len() == 70_000));
}
