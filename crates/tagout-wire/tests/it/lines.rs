//! Frames over byte streams.
use bytes::Bytes;
use proptest::prelude::*;
use tagout_wire::{Incoming, WireError, outgoing};
use tokio::io::AsyncWriteExt as _;

/// What comes in when `chunks` arrive one after the other.
async fn said(chunks: Vec<Vec<u8>>, limit: usize) -> Vec<String> {
    let (mut theirs, ours) = tokio::io::duplex(64);
    let sender = tokio::spawn(async move {
        for chunk in chunks {
            if theirs.write_all(&chunk).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    let mut incoming = Incoming::new(ours, limit);
    let mut said = Vec::new();
    while let Some(frame) = incoming.next().await {
        said.push(match frame {
            Ok(frame) => String::from_utf8_lossy(&frame).into_owned(),
            Err(error) => {
                let over = matches!(error, WireError::Endless { .. } | WireError::Broken(_));
                said.push(format!("<{error}>"));
                if over {
                    break;
                }
                continue;
            }
        });
    }
    drop(incoming);
    sender.await.unwrap();
    said
}

#[tokio::test]
async fn frames_come_in() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["a\nb\n"], &["a", "b"]),
        (&["a", "b\r\n\n\n", "c\n"], &["ab", "c"]),
        (&["12345678\n123456789\nok\n"], &["12345678", "<a frame is longer than 8 bytes>", "ok"]),
        (&["no end"], &[]),
        (&[""], &[]),
    ];
    for (chunks, expected) in cases {
        let chunks = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
        assert_eq!(said(chunks, 8).await, *expected);
    }
    let flood = vec![vec![b'x'; 50]; 10];
    let said = said(flood, 8).await;
    assert!(said.len() == 2 && said[1].starts_with("<a frame goes on after "), "{said:?}");
}

#[tokio::test]
async fn frames_go_out_and_the_end_is_seen() {
    let (ours, theirs) = tokio::io::duplex(16);
    let (out, done) = outgoing(ours);
    let reader = tokio::spawn(async move {
        let mut incoming = Incoming::new(theirs, 100);
        let mut frames = Vec::new();
        while let Some(Ok(frame)) = incoming.next().await {
            frames.push(frame);
        }
        frames
    });
    for n in 0..200 {
        out.send(Bytes::from(format!("frame {n}"))).await.unwrap();
    }
    drop(out);
    done.await.unwrap().unwrap();
    assert_eq!(reader.await.unwrap().len(), 200);
}

proptest! {
    #[test]
    fn cuts_do_not_matter(text in "[ab\r\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = runtime.block_on(said(vec![text.clone().into_bytes()], 20));
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(text.as_bytes()[from..cut].to_vec());
            from = cut;
        }
        chunks.push(text.as_bytes()[from..].to_vec());
        prop_assert_eq!(runtime.block_on(said(chunks, 20)), whole);
    }
}
