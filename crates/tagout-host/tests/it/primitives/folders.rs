//! The folders that servers are told of.
use std::path::PathBuf;

use serde_json::{Map, json};
use tagout_host::{Nobody, Options};

use crate::frames::{answer, asking, params, session};

#[tokio::test]
async fn servers_are_told_of_the_folders_that_there_are() {
    let folder = std::env::temp_dir().canonicalize().unwrap();
    let roots = vec![folder.clone(), PathBuf::from("relative"), folder.join("gone-for-good")];
    let options = Options { roots, ..Options::default() };
    let (mut session, heard, _serving) = session(options, asking("roots/list", json!({}))).await;
    session.call("grid__work", Map::new(), &mut Nobody).await;
    assert_eq!(params(&heard, "initialize")["capabilities"], json!({"roots": {}}));
    let uri = format!("file://{}", folder.display());
    assert_eq!(answer(&heard), json!({"roots": [{"uri": uri}]}));
}

#[tokio::test]
async fn servers_are_told_that_there_are_no_folders() {
    let answers = asking("roots/list", json!({}));
    let roots = vec![PathBuf::from("relative")];
    let options = Options { roots, ..Options::default() };
    let (mut session, heard, _serving) = session(options, answers).await;
    session.call("grid__work", Map::new(), &mut Nobody).await;
    assert_eq!(params(&heard, "initialize")["capabilities"], json!({}));
    assert_eq!(answer(&heard)["code"], -32601);
}
