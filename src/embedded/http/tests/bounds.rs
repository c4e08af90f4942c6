//! Over a socket: what a client that is too many, too large or too slow is told, and that nobody else suffers from it.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::listening::{PATIENCE, Running};
use crate::embedded::http::Limits;

/// Short enough for a test, long enough for a busy machine to send something in it.
const SHORT: Duration = Duration::from_millis(300);

fn impatient() -> Limits {
    Limits {
        head: SHORT,
        handshake: SHORT,
        body_time: SHORT,
        ..Limits::default()
    }
}

/// Sends a byte now and then until the server has closed the connection.
async fn dribble(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let closed = async {
        let mut buffer = [0; 1024];
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(length) => said.extend_from_slice(&buffer[..length]),
                },
                () = tokio::time::sleep(SHORT / 10) => {
                    // The server may close while this is sent.
                    let _ = stream.write_all(b"x").await;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
    said
}

/// What it says to a question that everybody may ask; nothing when it has closed the connection.
async fn health(stream: &mut TcpStream) -> String {
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return String::new();
    }
    let mut buffer = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
    let length = read.unwrap().unwrap_or_default();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_may_have_three_mebibytes_and_no_more() {
    let running = Running::start(Limits::default()).await;
    let client = running.client().build().unwrap();
    let post = |size: usize| {
        let empty = json!({"metadata": {"name": format!("m{size}")}}).to_string();
        let body = format!("{}{empty}", " ".repeat(size - empty.len()));
        let request = client.post(running.url("/api/v1/namespaces/default/configmaps"));
        let request = request
            .bearer_auth(running.token.expose())
            .header("content-type", "application/json");
        request.body(body).send()
    };
    let limit = 3 * 1024 * 1024;
    assert_eq!(post(limit).await.unwrap().status(), StatusCode::CREATED);
    let refused = post(limit + 1).await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let status: Value = refused.json().await.unwrap();
    assert_eq!(
        status["message"],
        "Request entity too large: limit is 3145728"
    );
    running.end().await;
}

#[tokio::test]
async fn one_watch_too_many_is_told_to_come_again_and_may_when_another_ends() {
    let limits = Limits {
        watches: 1,
        ..Limits::default()
    };
    let running = Running::start(limits).await;
    let client = running.client().build().unwrap();
    let path = "/api/v1/configmaps?watch=1";
    let open = running.get(&client, path).await;
    assert_eq!(open.status(), 200);
    let refused = running.get(&client, path).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(
        running.get(&client, "/api/v1/configmaps").await.status(),
        200,
        "lists go on"
    );
    drop(open);
    let again = async {
        while running.get(&client, path).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    running.end().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let limits = Limits {
        head: Duration::from_millis(200),
        handshake: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = Running::start(limits).await;
    let mut silent = tokio::net::TcpStream::connect(running.address)
        .await
        .unwrap();
    let mut buffer = [0; 64];
    let closed = tokio::time::timeout(PATIENCE, silent.read(&mut buffer))
        .await
        .unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    running.end().await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let running = Running::plain(impatient()).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        .await
        .unwrap();
    let said = dribble(&mut slow).await;
    assert!(!said.starts_with(b"HTTP/1.1 200"));
    let mut second = TcpStream::connect(running.address).await.unwrap();
    assert!(health(&mut second).await.starts_with("HTTP/1.1 200"));
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nX: ")
        .await
        .unwrap();
    dribble(&mut second).await;
    running.end().await;
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let running = Running::plain(impatient()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    assert!(health(&mut idle).await.starts_with("HTTP/1.1 200"));
    let mut buffer = [0; 64];
    let closed = tokio::time::timeout(PATIENCE, idle.read(&mut buffer))
        .await
        .unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    running.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let running = Running::plain(impatient()).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    let head = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        running.token.expose()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, slow.read(&mut said)).await;
    let length = read.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&said[..length]).starts_with("HTTP/1.1 408"));
    running.end().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_there_is_room_again_when_another_ends() {
    let running = Running::plain(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let connect = async || TcpStream::connect(running.address).await.unwrap();
    let (mut first, mut second) = (connect().await, connect().await);
    for stream in [&mut first, &mut second] {
        assert!(health(stream).await.starts_with("HTTP/1.1 200"));
    }
    let mut third = connect().await;
    assert_eq!(health(&mut third).await, "", "closed without a word");
    assert!(
        health(&mut first).await.starts_with("HTTP/1.1 200"),
        "the others go on"
    );
    drop(second);
    let begun = Instant::now();
    while !health(&mut connect().await)
        .await
        .starts_with("HTTP/1.1 200")
    {
        assert!(begun.elapsed() < PATIENCE, "there is room again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(first);
    running.end().await;
}
