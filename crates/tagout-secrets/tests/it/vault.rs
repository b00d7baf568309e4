//! Vault, by a stand-in on loopback that speaks as its API documentation says.
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value, json};
use tagout_secrets::{
    Source, VaultPath,
    vault::{Login, Vault, VaultSettings},
};
use tagout_testkit::keepers::{Asked, Keeper};

use crate::world::{Hands, Wire, kept, world};

fn path(text: &str) -> VaultPath {
    match Source::parse(text, Path::new("/")) {
        Ok(Some(Source::Vault(path))) => path,
        other => panic!("{other:?}"),
    }
}

fn secret(fields: &Value) -> (u16, String) {
    (200, json!({ "lease_duration": 0, "data": { "data": fields, "metadata": {} } }).to_string())
}

fn auth(token: &str, ttl: u32) -> (u16, String) {
    let auth = json!({ "client_token": token, "lease_duration": ttl, "renewable": true });
    (200, json!({ "auth": auth }).to_string())
}

fn settings(keeper: &Keeper, login: Login) -> VaultSettings {
    VaultSettings { address: keeper.url(), namespace: Some("team".to_owned()), login }
}

fn paths(keeper: &Keeper) -> Vec<String> {
    keeper.asked().into_iter().map(|asked| asked.path).collect()
}

#[tokio::test]
async fn a_token_reads_a_field_and_is_renewed_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::start(|asked: &Asked| {
        assert_eq!(asked.header("x-vault-namespace"), "team");
        assert_eq!(asked.header("x-vault-token"), "s.token");
        match asked.path.as_str() {
            "/v1/auth/token/lookup-self" => {
                (200, json!({"data": {"ttl": 300, "renewable": true}}).to_string())
            }
            "/v1/auth/token/renew-self" => auth("s.token", 300),
            "/v1/kv/data/team/files" => secret(&json!({ "token": "hunter2", "port": 5432 })),
            _ => (404, r#"{"errors":[]}"#.to_owned()),
        }
    });
    let keeper = keeper.unwrap();
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let world = world(&wire, &clock);
    let login = Login::Token(kept(&folder, "token", "s.token\n"));
    let mut vault = Vault::new(settings(&keeper, login));
    let of = Source::Vault(path("vault://kv/team/files#token"));
    let fetched = vault.read(world, &path("vault://kv/team/files#token")).await.unwrap();
    assert_eq!((fetched.value.expose().as_str(), fetched.lease), ("hunter2", None));
    let port = vault.read(world, &path("vault://kv/team/files#port")).await.unwrap();
    assert_eq!(port.value.expose(), "5432");
    clock.pass(199);
    vault.keep(world, &of).await.unwrap();
    assert_eq!(paths(&keeper).iter().filter(|path| path.ends_with("renew-self")).count(), 0);
    clock.pass(1);
    vault.keep(world, &of).await.unwrap();
    assert_eq!(paths(&keeper).last().unwrap(), "/v1/auth/token/renew-self");
    for (wrong, code) in [
        ("vault://kv/team/files#other", "secret-missing"),
        ("vault://kv/team/nothing#x", "secret-missing"),
    ] {
        let error = vault.read(world, &path(wrong)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn an_approle_logs_in_and_again_when_its_token_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let logins = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&logins);
    let keeper = Keeper::start(move |asked: &Asked| match asked.path.as_str() {
        "/v1/auth/approle/login" => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            assert_eq!(body, json!({ "role_id": "the-role", "secret_id": "the-proof" }));
            let n = counted.fetch_add(1, Ordering::SeqCst) + 1;
            auth(&format!("s.{n}"), 60)
        }
        // The first token is no good: taken back before it was used.
        _ if asked.header("x-vault-token") == "s.2" => secret(&json!({ "token": "hunter2" })),
        _ => (403, r#"{"errors":["permission denied"]}"#.to_owned()),
    });
    let keeper = keeper.unwrap();
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let world = world(&wire, &clock);
    let login = Login::AppRole {
        mount: "approle".to_owned(),
        role_id: kept(&folder, "role", "the-role"),
        secret_id: kept(&folder, "proof", "the-proof"),
    };
    let mut vault = Vault::new(settings(&keeper, login));
    let wanted = path("vault://kv/x#token");
    let error = vault.read(world, &wanted).await.unwrap_err();
    assert_eq!(error.code(), "secret-denied", "a login of just now is not repeated");
    let fetched = vault.read(world, &wanted).await.unwrap();
    assert_eq!(fetched.value.expose(), "hunter2");
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    clock.pass(120);
    let error = vault.read(world, &wanted).await.unwrap_err();
    assert_eq!((error.code(), logins.load(Ordering::SeqCst)), ("secret-denied", 3), "it had ended");
}

#[tokio::test]
async fn a_service_account_logs_in_with_what_its_file_holds_then() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/auth/cluster/login" => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            assert_eq!(body["role"], "tagout");
            let account = body["jwt"].as_str().unwrap();
            if account == "jwt-2" { auth("s.k8s", 60) } else { (400, "{}".to_owned()) }
        }
        _ => secret(&json!({ "token": "hunter2" })),
    });
    let keeper = keeper.unwrap();
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let world = world(&wire, &clock);
    let Source::File(token_file) = kept(&folder, "token", "jwt-1") else { panic!() };
    let login = Login::Kubernetes {
        mount: "cluster".to_owned(),
        role: "tagout".to_owned(),
        token_file: token_file.clone(),
    };
    let mut vault = Vault::new(settings(&keeper, login));
    let wanted = path("vault://kv/x#token");
    let error = vault.read(world, &wanted).await.unwrap_err();
    assert_eq!(error.code(), "secret-denied");
    assert!(!error.to_string().contains("jwt-1"), "{error}");
    std::fs::write(&token_file, "jwt-2\n").unwrap();
    assert_eq!(vault.read(world, &wanted).await.unwrap().value.expose(), "hunter2");
}

#[tokio::test]
async fn what_is_busy_is_asked_again_and_what_stays_so_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/auth/token/lookup-self" => (200, json!({ "data": { "ttl": 0 } }).to_string()),
        _ => (503, r#"{"errors":["Vault is sealed"]}"#.to_owned()),
    });
    let keeper = keeper.unwrap();
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let login = Login::Token(kept(&folder, "token", "s.root"));
    let mut vault = Vault::new(settings(&keeper, login));
    let error = vault.read(world(&wire, &clock), &path("vault://kv/x#token")).await.unwrap_err();
    assert_eq!((error.code(), paths(&keeper).len()), ("secret-unreachable", 4));
    assert_eq!(vault.renews_at(), None, "a root token has no end");
}

#[tokio::test]
async fn answers_that_are_none_are_errors_without_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let answers = [
        ("hunter2", "secret-unusable"),
        (r#"{"data":"hunter2"}"#, "secret-unusable"),
        (r#"{"data":{"data":null}}"#, "secret-missing"),
        (r#"{"data":{"data":{"token":["hunter2"]}}}"#, "secret-unusable"),
        (r#"{"data":{"data":{"token":""}}}"#, "secret-unusable"),
    ];
    for (answer, code) in answers {
        let keeper = Keeper::start(move |asked: &Asked| match asked.path.as_str() {
            "/v1/auth/token/lookup-self" => (200, json!({ "data": { "ttl": 0 } }).to_string()),
            _ => (200, answer.to_owned()),
        });
        let keeper = keeper.unwrap();
        let (wire, clock) = (Wire::new(), Hands::at_noon());
        let login = Login::Token(kept(&folder, "token", "s.root"));
        let mut vault = Vault::new(settings(&keeper, login));
        let read = vault.read(world(&wire, &clock), &path("vault://kv/x#token")).await;
        let error = read.unwrap_err();
        assert_eq!(error.code(), code, "{answer}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

/// A Vault whose answers to `lookup-self` and `renew-self` are as told.
fn keeping(looked: Arc<AtomicU32>, renewed: Arc<AtomicU32>) -> Keeper {
    let status = |of: &AtomicU32| u16::try_from(of.load(Ordering::SeqCst)).unwrap();
    let keeper = Keeper::start(move |asked: &Asked| match asked.path.as_str() {
        "/v1/auth/token/lookup-self" => {
            let data = json!({ "data": { "ttl": 300, "renewable": true } });
            (status(&looked), data.to_string())
        }
        "/v1/auth/token/renew-self" => match status(&renewed) {
            200 => auth("s.token", 300),
            other => (other, "{}".to_owned()),
        },
        _ => secret(&json!({ "token": "hunter2" })),
    });
    keeper.unwrap()
}

#[tokio::test]
async fn a_token_that_could_not_be_looked_up_is_not_taken_for_one_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let looked = Arc::new(AtomicU32::new(500));
    let keeper = keeping(Arc::clone(&looked), Arc::new(AtomicU32::new(200)));
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let world = world(&wire, &clock);
    let mut vault = Vault::new(settings(&keeper, Login::Token(kept(&folder, "token", "s.token"))));
    let wanted = path("vault://kv/x#token");
    let error = vault.read(world, &wanted).await.unwrap_err();
    assert_eq!(error.code(), "secret-unreachable", "{error}");
    assert!(vault.token().is_none(), "nothing is known of it");
    looked.store(200, Ordering::SeqCst);
    assert_eq!(vault.read(world, &wanted).await.unwrap().value.expose(), "hunter2");
    assert!(vault.renews_at().is_some(), "it has an end, and is renewed before");
}

#[tokio::test]
async fn a_token_that_a_busy_vault_does_not_renew_is_kept_and_one_that_it_refuses_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let renewed = Arc::new(AtomicU32::new(500));
    let keeper = keeping(Arc::new(AtomicU32::new(200)), Arc::clone(&renewed));
    let (wire, clock) = (Wire::new(), Hands::at_noon());
    let world = world(&wire, &clock);
    let mut vault = Vault::new(settings(&keeper, Login::Token(kept(&folder, "token", "s.token"))));
    let wanted = path("vault://kv/x#token");
    let of = Source::Vault(wanted.clone());
    vault.read(world, &wanted).await.unwrap();
    clock.pass(200);
    assert!(vault.keep(world, &of).await.is_err());
    assert_eq!(vault.token().unwrap().expose(), "s.token", "it is good for 100 seconds more");
    renewed.store(403, Ordering::SeqCst);
    vault.keep(world, &of).await.unwrap();
    assert!(vault.token().is_none(), "the next read logs in anew");
}
