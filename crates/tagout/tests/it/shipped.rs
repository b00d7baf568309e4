//! What ships, ships reviewed.
use std::collections::BTreeSet;

use crate::place::{Place, each};

#[test]
fn the_grid_tools_are_as_they_were_reviewed() {
    let place = Place::new();
    let tools = each(&place.done(&["--json", "tools", "ls"]));
    for tool in &tools {
        assert_eq!(tool["standing"], "reviewed", "`cargo xtask ship` after a review: {tool}");
        assert_eq!(tool["verdict"], "allow", "{tool}");
        assert_eq!(tool["effects"], serde_json::json!(["read"]), "{tool}");
        assert!(tool["problem"].is_null(), "{tool}");
    }
    let names: BTreeSet<_> = tools.iter().map(|tool| tool["tool"].as_str().unwrap()).collect();
    let expected = ["analyze_load_pattern", "generate_grid_visualization", "predict_outage_risk"];
    assert_eq!(names, BTreeSet::from(expected));
}
