use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::PATIENCE;

/// Sends bytes as they are, for requests no client library would write, and reads until the server closes.
/// Put `Connection: close` into the request.
///
/// # Panics
/// When nobody listens, or the server has not closed after [`PATIENCE`].
pub async fn raw_http(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    // A server may refuse before it has read all of it; what it answered counts.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(
        reading.is_ok(),
        "the server keeps the connection open after {}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}
