//! What is held of people who do nothing but approve.
use serde_json::{Value, json};
use tagout_store::{Answer, Scope};

use crate::{
    bench::Bench,
    questions::{Desk, ONE_OTHER, client, left_open, made, plan, write},
};

fn said(bench: &Bench, args: &[&str]) -> Value {
    let ran = bench.tagout(args);
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn who_only_approves_is_known_by_that_and_forgotten() {
    let bench = Bench::new(&plan(&[ONE_OTHER], &["[approval]", "keep_s = 600"]));
    let desk = Desk::with(&bench, &["bob", "zed"]);
    let (mut client, running) = client(&bench, "c");
    let question = left_open(&write(&mut client, 1, "a"));
    desk.says("zed", &question, Answer::Allow, Scope::Once);
    assert!(made(&write(&mut client, 2, "a")));
    drop((client, running));

    let export = said(&bench, &["privacy", "export", "zed"]);
    assert_eq!(export["principal"]["authenticated_by"], "approver");
    let held = &export["held"];
    assert_eq!(
        (&held["approvers"][0]["user"], &held["approvers"][1]),
        (&json!("zed"), &json!(null))
    );
    assert_eq!(held["votes"][0]["question"], question.as_str(), "{held}");
    let records = export["records"].as_array().unwrap();
    let kinds: Vec<_> =
        records.iter().map(|record| record.get("event").unwrap_or(&record["kind"])).collect();
    assert_eq!(kinds, ["approver-enrolled", "approval-answered", "decision"], "{records:?}");

    let erased = said(&bench, &["--json", "privacy", "erase", "zed", "--yes"]);
    assert_eq!(erased["answers"], 1, "{erased}");
    let export = said(&bench, &["privacy", "export", "zed"]);
    assert_eq!(export["held"]["votes"], json!([]));
    let nobody = bench.tagout(&["privacy", "export", "cid"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("[principal-unknown]"), "{nobody:?}");
}
