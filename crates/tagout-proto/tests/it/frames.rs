use tagout_proto::{Frame, Limits, Message};

/// One line a case: the frame, and what the reader says of it.
const CASES: &[(&str, &str)] = &[
    (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
    (r#" {"jsonrpc":"2.0","id":"a","method":"ping","params":{}} "#, "request \"a\" ping"),
    (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "notification"),
    (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response 1"),
    (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#, "error null"),
    ("", "byte 0: expected a JSON value"),
    ("[]", "batches are not part of this protocol revision; send one message a frame"),
    ("1", "not a JSON-RPC message: it is not an object"),
    ("{}", "not a JSON-RPC message: `jsonrpc` is not \"2.0\""),
    (
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        "not a JSON-RPC message: `id` is neither a string of at most 256 bytes nor a 64-bit integer",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        "not a JSON-RPC message: `id` is neither a string of at most 256 bytes nor a 64-bit integer",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        "not a JSON-RPC message: `params` is not an object",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        "not a JSON-RPC message: it has more than one of `method`, `result` and `error`",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"result":7}"#,
        "not a JSON-RPC message: `result` is no object, or `error` has no integer `code`",
    ),
    (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, "byte 41: expected the end of the text"),
    (
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        "byte 24: the key `id` stands twice in one object",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"ping"}"#,
        "byte 24: the key `id` stands twice in one object",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        "byte 40: the key `Method` differs from `method` only in case",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        "byte 67: the key `Name` differs from `name` only in case",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"argument\u017f":{}}}"#,
        "byte 56: the key `argument\\u{17f}` differs from `arguments` only in case",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"a":{"b":1,"b":2}}}}"#,
        "byte 80: the key `b` stands twice in one object",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"Name":1,"name":2}}}"#,
        "request 1 tools/call",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","InputSchema":{}}]}}"#,
        "byte 55: the key `InputSchema` differs from `inputSchema` only in case",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":"\ud800"}}"#,
        "byte 58: expected the other half of a surrogate pair",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":"\udc00"}}"#,
        "byte 58: expected no lone surrogate",
    ),
    (r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":01}}"#, "byte 52: expected `,` or `}`"),
    (r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":1.}}"#, "byte 53: expected a digit"),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":+1}}"#,
        "byte 51: expected a JSON value",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":NaN}}"#,
        "byte 51: expected a JSON value",
    ),
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"p","params":{"x":1,}}"#,
        "byte 53: expected a key in double quotes",
    ),
    (
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\",\"params\":{\"x\":\"a\tb\"}}",
        "byte 53: expected no bare control character",
    ),
    ("\u{feff}{}", "byte 0: expected a JSON value"),
];

fn shown(bytes: &[u8], limits: Limits) -> String {
    let frame = match Frame::read(bytes, limits) {
        Ok(frame) => frame,
        Err(error) => return error.to_string(),
    };
    match frame.message() {
        Message::Request { id, method, .. } => {
            format!("request {id} {}", method.text().unwrap_or_default())
        }
        Message::Notification { .. } => "notification".to_owned(),
        Message::Response { id, outcome: Ok(_) } => format!("response {id}"),
        Message::Response { id, outcome: Err(_) } => format!("error {id}"),
    }
}

#[test]
fn frames_are_understood_or_refused() {
    for (frame, expected) in CASES {
        assert_eq!(shown(frame.as_bytes(), Limits::default()), *expected, "{frame}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { frame_bytes: 400, depth: 64 };
    let nested = |levels: usize| {
        let params = format!("{}{}", "[".repeat(levels - 2), "]".repeat(levels - 2));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"p","params":{{"x":{params}}}}}"#)
    };
    assert_eq!(shown(nested(64).as_bytes(), limits), "request 1 p");
    assert_eq!(shown(nested(65).as_bytes(), limits), "byte 113: more than 64 levels of nesting");
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(400));
    assert_eq!(shown(long.as_bytes(), limits), "the frame has 436 bytes, the limit is 400");
    assert_eq!(shown(b"{\"a\":\"\xff\"}", limits), "byte 6 is not part of any UTF-8 character");
}

#[test]
fn what_was_not_changed_stays_as_it_was_written() {
    let text = r#"{"jsonrpc":"2.0","id":12345678901234567890e0,"method":"x"}"#;
    assert!(shown(text.as_bytes(), Limits::default()).starts_with("not a JSON-RPC message"));
    let text = r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"n": 1.50e+2 ,"big":123456789012345678901234567890,"name":"a__b"}}"#;
    let frame = Frame::read(text.as_bytes(), Limits::default()).unwrap();
    let Message::Request { params: Some(params), .. } = frame.message() else { panic!("{text}") };
    assert_eq!(
        params.with(&[("name", Some("\"b\"")), ("_meta", None), ("new", Some("1"))]),
        r#"{"n":1.50e+2,"big":123456789012345678901234567890,"name":"b","new":1}"#
    );
    assert_eq!(params.get("big").unwrap().raw(), "123456789012345678901234567890");
    assert!(params.to_tree().is_err());
    assert_eq!(
        params.canonical(),
        r#"{"big":123456789012345678901234567890,"n":1.50e+2,"name":"a__b"}"#
    );
}

#[test]
fn many_keys_are_compared_too() {
    let members: Vec<_> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
    let text = format!("{{{},\"k57\":0}}", members.join(","));
    let error = tagout_proto::Document::read(text.as_bytes(), Limits::default()).unwrap_err();
    assert!(error.to_string().ends_with("the key `k57` stands twice in one object"), "{error}");
}
