//! Bounds on what a server may use of the network.
use std::{sync::Arc, time::Duration};

use tagout_wire::egress::{Bound, Budget, EgressBounds, Late, Refused};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::stand_in::{Behind, echo, host};
use crate::peers::{rest, soon, status, until};

fn bounds() -> EgressBounds {
    EgressBounds::default()
}

#[tokio::test]
async fn slow_heads_are_not_waited_for() {
    let bounds = EgressBounds { head: Duration::from_millis(200), ..bounds() };
    let mut behind = Behind::new(&["app.example:80"], bounds);
    let mut stream = behind.connect().await;
    for byte in b"GET http://app.example/ HTTP/1.1\r\nHost: app.example\r\n" {
        // A byte every so often would hold it for ever.
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&rest(&mut stream).await), "408");
    assert_eq!(behind.next().await.refused, Some(Refused::Late(Late::Head)));
    // Who says nothing at all is sent away without a word.
    let mut silent = behind.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    assert!(behind.nothing_reported());
}

#[tokio::test]
async fn so_many_at_once() {
    let echo = echo().await;
    let place = format!("app.example:{echo}");
    let bounds = EgressBounds { at_once: 2, ..bounds() };
    let mut behind = Behind::new(&[&place], bounds);
    let (one, _two) = (behind.tunnel(&place).await, behind.tunnel(&place).await);
    let ask = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
    let answer = behind.raw(&ask).await;
    assert_eq!(status(&answer), "429");
    assert!(answer.contains("egress-limit"));
    assert_eq!(behind.next().await.refused, Some(Refused::Bound(Bound::AtOnce)));
    drop(one);
    assert_eq!(behind.next().await.refused, None);
    behind.tunnel(&place).await;
}

#[tokio::test]
async fn so_many_in_all() {
    let echo = echo().await;
    let place = format!("app.example:{echo}");
    let bounds = EgressBounds { connections: 3, ..bounds() };
    let mut behind = Behind::new(&[&place], bounds);
    // What is not on the list costs nothing.
    for _ in 0..10 {
        assert_eq!(status(&behind.get("http://evil.example/").await), "403");
        assert_eq!(behind.code().await, "egress-denied");
    }
    for _ in 0..3 {
        drop(behind.tunnel(&place).await);
        assert_eq!(behind.code().await, "");
    }
    assert_eq!(status(&behind.get(&format!("http://{place}/")).await), "429");
    assert_eq!(behind.next().await.refused, Some(Refused::Bound(Bound::Connections)));
}

#[tokio::test]
async fn a_next_start_goes_on_with_what_is_left() {
    let echo = echo().await;
    let place = format!("app.example:{echo}");
    let budget = Arc::new(Budget::new(EgressBounds { connections: 3, ..bounds() }));
    for many in [2, 1] {
        let mut behind = Behind::again(&[&place], &budget);
        for _ in 0..many {
            drop(behind.tunnel(&place).await);
            assert_eq!(behind.code().await, "");
        }
    }
    assert!(!budget.is_whole());
    let mut behind = Behind::again(&[&place], &budget);
    assert_eq!(status(&behind.get(&format!("http://{place}/")).await), "429");
    assert_eq!(behind.next().await.refused, Some(Refused::Bound(Bound::Connections)));
}

#[tokio::test]
async fn so_many_bytes_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("app.example:{}", listener.local_addr().unwrap().port());
    let bounds = EgressBounds { bytes_out: 1000, ..bounds() };
    let mut behind = Behind::new(&[&place], bounds);
    let mut stream = behind.tunnel(&place).await;
    let (mut host, _) = soon(listener.accept()).await.unwrap();
    stream.write_all(&[b'x'; 5000]).await.unwrap();
    let mut got = 0;
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = soon(host.read(&mut piece)).await {
        got += read;
    }
    assert_eq!(got, 1000, "to the byte");
    let connection = behind.next().await;
    assert_eq!(connection.bytes_out, 1000);
    assert_eq!(connection.refused, Some(Refused::Bound(Bound::BytesOut)));
    // It is the server's, not the connection's: nothing more goes out.
    let answer = behind.get(&format!("http://{place}/")).await;
    assert_eq!(status(&answer), "429", "{answer}");
    assert_eq!(behind.next().await.refused, Some(Refused::Bound(Bound::BytesOut)));
}

#[tokio::test]
async fn so_many_bytes_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("app.example:{}", listener.local_addr().unwrap().port());
    let bounds = EgressBounds { bytes_in: 100_000, ..bounds() };
    let mut behind = Behind::new(&[&place], bounds);
    let mut stream = behind.tunnel(&place).await;
    let (mut host, _) = soon(listener.accept()).await.unwrap();
    let flood = tokio::spawn(async move { while host.write_all(&[b'x'; 4096]).await.is_ok() {} });
    let mut got = 0;
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = soon(stream.read(&mut piece)).await {
        got += read;
    }
    assert!(got <= 100_000, "{got}");
    assert_eq!(behind.next().await.refused, Some(Refused::Bound(Bound::BytesIn)));
    soon(flood).await.unwrap();
}

#[tokio::test]
async fn nothing_lasts_for_ever() {
    let echo = echo().await;
    let place = format!("app.example:{echo}");
    let idle = EgressBounds { idle: Duration::from_millis(100), ..bounds() };
    let mut behind = Behind::new(&[&place], idle);
    let mut stream = behind.tunnel(&place).await;
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(rest(&mut stream).await, "hello");
    assert_eq!(behind.next().await.refused, Some(Refused::Late(Late::Idle)));

    let whole = EgressBounds { whole: Duration::from_millis(300), ..bounds() };
    let mut behind = Behind::new(&[&place], whole);
    let mut stream = behind.tunnel(&place).await;
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(behind.next().await.refused, Some(Refused::Late(Late::Whole)));
}

#[tokio::test]
async fn an_answer_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("app.example:{}", listener.local_addr().unwrap().port());
    let bounds = EgressBounds { idle: Duration::from_millis(100), ..bounds() };
    let mut behind = Behind::new(&[&place], bounds);
    let answer = behind.get(&format!("http://{place}/")).await;
    assert_eq!(status(&answer), "504", "{answer}");
    assert_eq!(behind.next().await.refused, Some(Refused::Late(Late::Idle)));
}

#[tokio::test]
async fn stopping_ends_and_reports_all() {
    let echo = echo().await;
    let place = format!("app.example:{echo}");
    let mut behind = Behind::new(&[&place], bounds());
    let mut stream = behind.tunnel(&place).await;
    stream.write_all(b"hello").await.unwrap();
    until(&mut stream, "hello").await;
    behind.stop.cancel();
    soon(&mut behind.task).await.unwrap().unwrap();
    assert_eq!(rest(&mut stream).await, "");
    let connection = behind.next().await;
    assert_eq!((connection.bytes_out, connection.bytes_in), (5, 5));
    assert_eq!(connection.refused, None);
}

/// What is not on record does not happen any more.
#[tokio::test]
async fn without_a_record_there_is_no_way_out() {
    let (port, _) = host("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let mut behind = Behind::new(&[&format!("app.example:{port}")], bounds());
    let url = format!("http://app.example:{port}/");
    assert_eq!(status(&behind.get(&url).await), "200");
    behind.forget();
    behind.get(&url).await;
    soon(&mut behind.task).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(behind.address).await.is_err());
}
