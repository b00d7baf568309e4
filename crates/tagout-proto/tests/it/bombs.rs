//! Messages that are meant to take long or much to read. Where one of them took time that grows with
//! the square of its size, its test would not end.
use tagout_proto::{Frame, FrameError, Limits, Message, ReadError};

fn read(params: &str) -> Result<Frame, FrameError> {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    Frame::read(text.as_bytes(), Limits::default())
}

#[test]
fn an_object_of_hundreds_of_thousands_of_keys_is_read_at_once_or_refused() {
    let members: Vec<_> = (0..150_000).map(|n| format!(r#""k{n}":1"#)).collect();
    let wide = format!("{{{}}}", members.join(","));
    assert!(wide.len() < Limits::default().frame_bytes);
    // Read or refused: not held up.
    drop(read(&wide));
    // A million of them do not fit into a frame at all.
    let members: Vec<_> = (0..1_000_000).map(|n| format!(r#""k{n}":1"#)).collect();
    let wider = read(&format!("{{{}}}", members.join(",")));
    assert!(matches!(wider, Err(FrameError::Read(ReadError::TooLarge { .. }))));
}

#[test]
fn one_key_many_times_is_refused_at_once() {
    let members = vec![r#""same":1"#; 150_000].join(",");
    let error = read(&format!("{{{members}}}")).unwrap_err();
    assert!(matches!(error, FrameError::Read(ReadError::DuplicateKey { .. })), "{error}");
}

#[test]
fn an_array_of_hundreds_of_thousands_of_elements_is_read_at_once_or_refused() {
    for element in ["1", "[]", "{}", "\"\"", "null"] {
        let elements = vec![element; 300_000].join(",");
        drop(read(&format!(r#"{{"a":[{elements}]}}"#)));
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let (opened, closed) = (open.repeat(100_000), close.repeat(100_000));
        let inner = if open == "[" { "" } else { "1" };
        let deep = read(&format!(r#"{{"a":{opened}{inner}{closed}}}"#));
        assert!(matches!(deep, Err(FrameError::Read(ReadError::TooDeep { .. }))));
        // Unclosed, too.
        assert!(read(&format!(r#"{{"a":{opened}"#)).is_err());
    }
}

#[test]
fn a_number_of_a_million_digits_is_read_at_once_or_refused() {
    for number in [
        "9".repeat(1_000_000),
        format!("1e{}", "9".repeat(1_000_000)),
        format!("0.{}1", "0".repeat(1_000_000)),
    ] {
        let Ok(frame) = read(&format!(r#"{{"a":{number}}}"#)) else { continue };
        let Message::Request { params, .. } = frame.message() else { panic!() };
        // What is made of it for rules is refused or exact, never infinite.
        if let Ok(tree) = params.unwrap().to_tree() {
            assert!(!tree["a"].as_f64().is_some_and(f64::is_infinite));
        }
    }
}

#[test]
fn a_text_of_millions_of_escapes_is_read_at_once() {
    for escape in ["\\u0041", "\\n", "\\\\", "\\ud83d\\ude00"] {
        let text = escape.repeat(Limits::default().frame_bytes / escape.len() - 100);
        let frame = read(&format!(r#"{{"a":"{text}"}}"#)).unwrap();
        let Message::Request { params, .. } = frame.message() else { panic!() };
        assert!(!params.unwrap().get("a").unwrap().text().unwrap().is_empty());
    }
}
