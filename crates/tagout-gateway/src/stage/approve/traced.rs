//! What clients say beside a call to find it again in their own logs: it differs from call to call
//! and says nothing about what is done.
use tagout_proto::{Kind, Value};

/// The keys of `_meta` that name just this request for whoever follows it.
const KEYS: &[&str] = &[
    "traceparent",
    "tracestate",
    "progressToken",
    "claudecode/toolUseId",
    "toolUseId",
    "toolCallId",
];
/// Longer values are more than a name, in bytes.
const BYTES: usize = 512;

/// `params` without what names just this request, and that alone as `_meta`; nothing where there is
/// none.
pub(super) fn parted(params: Value<'_>) -> (String, Option<String>) {
    let Some(meta) = params.get("_meta").filter(|meta| meta.kind() == Kind::Object) else {
        return (params.raw().to_owned(), None);
    };
    let names: Vec<_> = meta.members().filter(|(key, value)| names_it(key, *value)).collect();
    if names.is_empty() {
        return (params.raw().to_owned(), None);
    }
    let gone: Vec<_> = names.iter().map(|(key, _)| (&**key, None)).collect();
    let rest = meta.with(&gone);
    let rest = Some(rest.as_str()).filter(|rest| *rest != "{}");
    let others = meta.members().filter(|(key, value)| !names_it(key, *value));
    let others: Vec<_> = others.map(|(key, _)| key).collect();
    let others: Vec<_> = others.iter().map(|key| (&**key, None)).collect();
    (params.with(&[("_meta", rest)]), Some(meta.with(&others)))
}

fn names_it(key: &str, value: Value<'_>) -> bool {
    let short = match value.kind() {
        Kind::String | Kind::Escaped | Kind::Number => value.raw().len() <= BYTES,
        Kind::Object | Kind::Array | Kind::True | Kind::False | Kind::Null => false,
    };
    short && KEYS.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::composed;

    fn of(params: &str) -> (String, Option<String>) {
        parted(composed(params).unwrap().root())
    }

    #[test]
    fn only_names_of_the_request_are_parted() {
        let bare = r#"{"name":"t","arguments":{"traceparent":"x"}}"#;
        assert_eq!(of(bare), (bare.to_owned(), None));
        let own = r#"{"name":"t","_meta":{"tenant":"a","traceparent":{"to":"all"}}}"#;
        assert_eq!(of(own), (own.to_owned(), None));
        let (rest, traced) =
            of(r#"{"name":"t","_meta":{"traceparent":"00-1","tenant":"a","toolUseId":7}}"#);
        assert_eq!(rest, r#"{"name":"t","_meta":{"tenant":"a"}}"#);
        assert_eq!(traced.as_deref(), Some(r#"{"traceparent":"00-1","toolUseId":7}"#));
        let (rest, traced) = of(r#"{"name":"t","_meta":{"tracestate":"a=b"}}"#);
        assert_eq!((rest.as_str(), traced.is_some()), (r#"{"name":"t"}"#, true));
        let long = format!(r#"{{"_meta":{{"tracestate":"{}"}}}}"#, "x".repeat(BYTES));
        assert_eq!(of(&long), (long.clone(), None));
    }
}
