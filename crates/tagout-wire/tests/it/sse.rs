//! Event streams.
use std::time::Duration;

use proptest::prelude::*;
use tagout_wire::sse::{COMMENT, Decoder, Event, SseError, encode, message};

/// What a decoder makes of these chunks.
pub(crate) fn decoded(chunks: &[&[u8]], limit: usize) -> Vec<Result<Event, SseError>> {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(event) = decoder.next() {
            events.push(event);
        }
    }
    events
}

/// A stream, and what comes of it.
type Case<'a> = (&'a [u8], &'a [Result<Event, SseError>]);

fn data(data: &str) -> Event {
    Event { data: data.to_owned(), ..Event::default() }
}

#[test]
fn streams_are_read_as_the_standard_says() {
    let with = |id: Option<&str>, event: Option<&str>, text: &str| Event {
        id: id.map(ToOwned::to_owned),
        event: event.map(ToOwned::to_owned),
        ..data(text)
    };
    let retry = |ms| Event { retry: Some(Duration::from_millis(ms)), ..Event::default() };
    let cases: &[(&str, &[Event])] = &[
        ("data: a\n\n", &[data("a")]),
        ("data:a\r\n\r\n", &[data("a")]),
        ("data:  a\r\rdata\r\r", &[data(" a"), data("")]),
        ("\u{feff}data: a\n\n", &[data("a")]),
        ("data: a\n\n\u{feff}data: b\n\n", &[data("a")]),
        (": comment\n\n:\ndata: a\n:\n\n", &[data("a")]),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", &[data("YHOO\n+2\n10")]),
        ("data\n\ndata\ndata\n\ndata:", &[data(""), data("\n")]),
        ("id: 1\ndata:\n\n", &[with(Some("1"), None, "")]),
        ("id: 1\n\nid\ndata: b\n\n", &[with(Some("1"), None, ""), with(Some(""), None, "b")]),
        ("id: a\0b\ndata: x\n\n", &[data("x")]),
        ("event: e\ndata: x\n\nevent: e\n\ndata: y\n\n", &[with(None, Some("e"), "x"), data("y")]),
        ("event: e\nevent:\ndata: x\n\n", &[data("x")]),
        ("retry: 1500\n\nretry: 1s\n\nretry:\n\nretry: +1\n\n", &[retry(1500)]),
        ("retry: 99999999999999999999\n\n", &[]),
        ("Data: a\nother: b\ndata x: c\n\n", &[]),
        ("data: not ended\n", &[]),
    ];
    for (stream, expected) in cases {
        let expected: Vec<_> = expected.iter().cloned().map(Ok).collect();
        assert_eq!(decoded(&[stream.as_bytes()], 100), expected, "{stream:?}");
    }
}

#[test]
fn an_event_comes_with_its_last_line_end() {
    assert_eq!(decoded(&[b"data: a\r\n\r"], 100), [Ok(data("a"))]);
    let parts: [&[u8]; 4] = [b"data: a\r\n\r", b"\n", b"data: b\n", b"\n"];
    assert_eq!(decoded(&parts, 100), [Ok(data("a")), Ok(data("b"))]);
}

#[test]
fn what_is_too_long_or_not_utf8_ends_it() {
    let too_large = Err(SseError::TooLarge { limit: 8 });
    let cases: &[Case<'_>] = &[
        (b"data: 12345678\n\n", &[Ok(data("12345678"))]),
        (b"data: 123456789\n\ndata: b\n\n", std::slice::from_ref(&too_large)),
        (b"data: 1234\ndata: 567\n\n", &[Ok(data("1234\n567"))]),
        (b"data: 1234\ndata: 5678\n\n", std::slice::from_ref(&too_large)),
        (b"data: 1234\nid: 12345\n\n", std::slice::from_ref(&too_large)),
        (b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", std::slice::from_ref(&too_large)),
        (b"data: a\n\ndata: \xff\n\ndata: b\n\n", &[Ok(data("a")), Err(SseError::NotUtf8)]),
        (b": \xc3\n\xa9\n\n", &[Err(SseError::NotUtf8)]),
    ];
    for (stream, expected) in cases {
        assert_eq!(decoded(&[stream], 8), *expected, "{:?}", String::from_utf8_lossy(stream));
        let single: Vec<_> = stream.chunks(1).collect();
        assert_eq!(decoded(&single, 8), *expected);
    }
    // Any number of comments is no event.
    let comments = COMMENT.repeat(1000);
    assert_eq!(decoded(&[&comments], 8), []);
}

#[test]
fn events_are_written_so_that_nothing_gets_in_between() {
    let event = |id: &str, name: &str, text: &str| Event {
        id: Some(id.to_owned()),
        event: Some(name.to_owned()),
        ..data(text)
    };
    assert_eq!(message(b"{\"a\":1}"), "data: {\"a\":1}\n\n");
    assert_eq!(message(b"a\ndata: b\n\nid: 1"), "data: a\ndata: data: b\ndata: \ndata: id: 1\n\n");
    assert_eq!(encode(&event("1", "e", "")), "event: e\nid: 1\ndata: \n\n");
    assert_eq!(encode(&event("1\ndata: x", "e\r", "a\r\nb\rc")), "data: a\ndata: b\ndata: c\n\n");
    assert_eq!(encode(&event("a\0", "", "x")), "event: \ndata: x\n\n");
    let retry = Event { retry: Some(Duration::from_millis(7)), ..data("") };
    assert_eq!(encode(&retry), "retry: 7\ndata: \n\n");
}

/// What the standard says, with the whole stream at hand.
fn naive(stream: &str) -> Vec<Event> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<_> = stream.split('\n').collect();
    lines.pop();
    let (mut events, mut event, mut lines_of_data) = (Vec::new(), Event::default(), Vec::new());
    for line in lines {
        if line.is_empty() {
            let mut done = std::mem::take(&mut event);
            let some = !lines_of_data.is_empty() || done.id.is_some() || done.retry.is_some();
            done.data = std::mem::take(&mut lines_of_data).join("\n");
            events.extend(some.then_some(done));
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => lines_of_data.push(value),
            "event" => event.event = Some(value.to_owned()).filter(|value| !value.is_empty()),
            "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                event.retry = Some(Duration::from_millis(value.parse().unwrap()));
            }
            _ => {}
        }
    }
    events
}

fn streams() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "data", "id", "event", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "\r\r", "x",
        "é", "\u{feff}", "\0", "12", "{}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cuts_do_not_matter(stream in streams(), cuts in prop::collection::vec(0usize..120, 0..12)) {
        let bytes = stream.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&bytes[from..cut]);
            from = cut;
        }
        chunks.push(&bytes[from..]);
        let expected: Vec<_> = naive(&stream).into_iter().map(Ok).collect();
        prop_assert_eq!(decoded(&chunks, 1000), expected);
    }

    #[test]
    fn what_is_written_is_read(
        id in prop::option::of("[^\r\n\0]{0,5}"),
        event in prop::option::of("[^\r\n\0]{1,5}"),
        data in "[^\r]{0,20}",
        retry in prop::option::of(0u64..10_000),
    ) {
        let event = Event { id, event, data, retry: retry.map(Duration::from_millis) };
        prop_assert_eq!(decoded(&[&encode(&event)], 1000), [Ok(event)]);
    }
}
