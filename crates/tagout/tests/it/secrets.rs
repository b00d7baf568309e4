//! Secrets in arguments do not reach any file.
use std::{fs, path::Path};

use serde_json::json;

use crate::place::{Place, tool};

/// Every file under `folder` that holds `needle`.
fn holding(folder: &Path, needle: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, needle, found);
        } else if fs::read(&path).unwrap().windows(needle.len()).any(|w| w == needle.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
}

fn vault() -> Place {
    let place = Place::new();
    let mut open = tool("read_it");
    open["inputSchema"]["additionalProperties"] = true.into();
    place.scripted(
        "s",
        json!({"tools": [open, tool("write_it")], "calls": {
            "read_it": [[{"text": "done"}]],
        }}),
    );
    place.pin(&["s"]);
    place
}

#[test]
fn secrets_are_in_no_file() {
    let secrets = [
        (json!({"password": "correct-horse-1"}), "correct-horse-1"),
        (json!({"auth": {"api_key": "correct-horse-2"}}), "correct-horse-2"),
        (json!({"Client-Secret": ["correct-horse-3"]}), "correct-horse-3"),
        (json!({"pin": 4_815_162_342_u64}), "4815162342"),
        (json!({"text": format!("use gh{}_{}", 'p', "a1B2".repeat(9))}), "a1B2a1B2"),
        (json!({"text": format!("AK{}{}", "IA", "QWERTYUIOPASDFGH")}), "QWERTYUIOPASDFGH"),
        (json!({"text": "Authorization: Bearer abcdefghijklmnop1234"}), "abcdefghijklmnop1234"),
        (json!({"text": "-----BEGIN PRIVATE KEY-----\nMIIabcdef\n"}), "MIIabcdef"),
    ];
    for (arguments, secret) in secrets {
        let place = vault();
        place.done(&["tools", "call", "s__read_it", &arguments.to_string()]);
        // Also where the call is refused: for what the schema says, and for what nobody approves.
        assert_ne!(place.run(&["tools", "call", "s__write_it", &arguments.to_string()]).code, 0);
        assert_ne!(place.run(&["tools", "call", "s__none", &arguments.to_string()]).code, 0);
        let mut found = Vec::new();
        holding(&place.path("state"), secret, &mut found);
        holding(&place.path("data"), secret, &mut found);
        assert_eq!(found, Vec::<String>::new(), "{arguments}");
        place.done(&["audit", "verify"]);
    }
}

#[test]
fn refusals_do_not_repeat_values() {
    let place = vault();
    let args = ["tools", "call", "s__write_it", "n=correct-horse-4"];
    for json in [&[][..], &["--json"], &["-vvv"]] {
        let ran = place.run(&[json, &args].concat());
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(!format!("{ran:?}").contains("correct-horse"), "{ran:?}");
    }
}
