//! Connections that are used again, and those that are not.
use std::time::Duration;

use bytes::Bytes;
use tagout_wire::http::{Client, ClientOptions, HttpError, Method};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::{
    client::{client, send},
    peers::{Served, rest, scripted, soon, until},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn connections(server: &Served) -> usize {
    server.probe.peers.lock().unwrap().len()
}

async fn echo(client: &Client, server: &Served) {
    let answer = send(client, Method::POST, server.address, "/echo").await.unwrap();
    assert_eq!(answer.body.collect(100).await.unwrap(), "{}");
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let server = Served::plain().await;
    let client = client();
    for _ in 0..20 {
        echo(&client.clone(), &server).await;
        // Without a body to read, the connection is back at once.
        drop(send(&client, Method::GET, server.address, "/nothing").await.unwrap());
    }
    assert_eq!((connections(&server), server.requests()), (1, 40));
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let server = Served::plain().await;
    let options = ClientOptions { idle_per_host: 2, ..ClientOptions::default() };
    let client = Client::new(options).unwrap();
    for expected in [4, 6] {
        let [a, b, c, d] = [(); 4].map(|()| send(&client, Method::POST, server.address, "/echo"));
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        for answer in [a, b, c, d] {
            answer.unwrap().body.collect(100).await.unwrap();
        }
        assert_eq!(connections(&server), expected, "and two of them are kept");
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection() {
    let mut server = Served::plain().await;
    let client = client();
    let answer = send(&client, Method::GET, server.address, "/stream").await.unwrap();
    let sender = server.next_stream().await;
    drop(answer);
    soon(sender.closed()).await;
    echo(&client, &server).await;
    assert_eq!(connections(&server), 2);
}

#[tokio::test]
async fn a_stream_can_be_finished_to_keep_its_connection() {
    let mut server = Served::plain().await;
    let client = client();
    // It ends after the event that was wanted: kept.
    let answer = send(&client, Method::GET, server.address, "/stream").await.unwrap();
    let sender = server.next_stream().await;
    let mut events = answer.body.events(100);
    sender.send(Bytes::from_static(b"data: 1\n\n")).await.unwrap();
    assert_eq!(soon(events.next()).await.unwrap().unwrap().data, "1");
    sender.send(Bytes::from_static(b": and a little more\n\n")).await.unwrap();
    drop(sender);
    soon(events.finish(Duration::from_secs(20))).await;
    echo(&client, &server).await;
    assert_eq!(connections(&server), 1);
    // It goes on: closed.
    for more in [0, 64 << 10] {
        let answer = send(&client, Method::GET, server.address, "/stream").await.unwrap();
        let sender = server.next_stream().await;
        sender.send(Bytes::from(vec![b':'; more])).await.unwrap();
        let patience = if more == 0 { Duration::from_millis(20) } else { Duration::from_secs(20) };
        soon(answer.body.events(100).finish(patience)).await;
        soon(sender.closed()).await;
    }
}

#[tokio::test]
async fn a_connection_that_its_server_closed_is_not_used() {
    let (address, server) = scripted(vec![vec![OK], vec![OK]]).await;
    let client = client();
    for _ in 0..2 {
        let answer = send(&client, Method::POST, address, "/").await.unwrap();
        answer.body.collect(100).await.unwrap();
        // Its end takes a moment to arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_server_says_unasked_ends_the_connection() {
    let double: &str = concat!(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    );
    let (address, server) = scripted(vec![vec![double], vec![OK]]).await;
    let client = client();
    for _ in 0..2 {
        let answer = send(&client, Method::POST, address, "/").await.unwrap();
        assert_eq!(answer.body.collect(100).await.unwrap(), "{}");
    }
    assert_eq!(server.await.unwrap().len(), 2, "the second answer is nobody's");
}

/// Answers the first request of its only connection, reads the second, and closes.
async fn answers_once(listener: &TcpListener) -> usize {
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    until(&mut stream, "{}").await;
    stream.write_all(OK.as_bytes()).await.unwrap();
    until(&mut stream, "{}").await;
    drop(stream);
    let more = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    usize::from(more.is_ok())
}

#[tokio::test]
async fn what_may_have_reached_the_server_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { answers_once(&listener).await });
    let client = client();
    let answer = send(&client, Method::POST, address, "/").await.unwrap();
    answer.body.collect(100).await.unwrap();
    let error = send(&client, Method::POST, address, "/").await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { reached: true, .. }), "{error}");
    assert_eq!(server.await.unwrap(), 0, "nobody came a second time");
}

/// Answers once and resets the connection; then answers once more.
fn resets(listener: std::net::TcpListener, done: &std::sync::mpsc::SyncSender<()>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).unwrap();
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        until(&mut stream, "{}").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
        done.send(()).unwrap();
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        let request = until(&mut stream, "{}").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        request.matches("POST").count()
    })
}

#[tokio::test]
async fn what_never_left_may_be_sent_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, done) = std::sync::mpsc::sync_channel(1);
    let server = std::thread::spawn(move || resets(listener, &sender));
    let client = client();
    let answer = send(&client, Method::POST, address, "/").await.unwrap();
    answer.body.collect(100).await.unwrap();
    // This thread is held, so that its runtime has not heard of the reset.
    done.recv().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    match send(&client, Method::POST, address, "/").await {
        Ok(_) => {}
        Err(error) => {
            assert!(matches!(error, HttpError::Broken { reached: false, .. }), "{error}");
            send(&client, Method::POST, address, "/").await.unwrap();
        }
    }
    assert_eq!(server.join().unwrap(), 1);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = soon(listener.accept()).await.unwrap();
        until(&mut stream, "{}").await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        rest(&mut stream).await
    });
    let idle = Duration::from_millis(50);
    let client = Client::new(ClientOptions { idle, ..ClientOptions::default() }).unwrap();
    let answer = send(&client, Method::POST, address, "/").await.unwrap();
    answer.body.collect(100).await.unwrap();
    assert_eq!(soon(server).await.unwrap(), "", "without anybody asking");
    drop(client);
}
