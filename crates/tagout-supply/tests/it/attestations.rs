//! Attestations of real packages hold, and nothing else does.
use tagout_supply::{Artefact, Flaw, Provenance, Publisher, TrustRoot, bundle, npm, python};

const NPM_BUILD: &str = include_str!("../vectors/npm-sigstore-2.0.0-provenance.json");
const NPM_PUBLISH: &str = include_str!("../vectors/npm-sigstore-0.4.0-publish.json");
const DSSE: &str = include_str!("../vectors/dsse-0.0.1.json");
const REKOR_2: &str = include_str!("../vectors/rekor-2.json");
const PYTHON: &str = include_str!("../vectors/python-rfc8785-0.1.2.json");
const STAGING: &str = include_str!("../vectors/staging_root.json");
const WHEEL: &str = "rfc8785-0.1.2-py3-none-any.whl";
const OF_WHEEL: &str = "c4e92e9ecc828bef2aa7dba1de8ac983511f7532a0df11c770d39099a25cf201";
const OF_2_0_0: &str = "46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c";
const OF_0_4_0: &str = "282c0c5fa936d264321643581b65d3de5c0af6ed4fdfac12f5851115df39cc25cfaf0ad22d908487bfef30114d61c25746206d1834be4f8fd1659178f77cc004";
const CONDA: Artefact<'_> = Artefact {
    name: "signed-package-2.1.0-hb0f4dca_0.conda",
    algorithm: "sha256",
    digest: "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f",
};

fn root() -> TrustRoot {
    TrustRoot::committed().unwrap()
}

fn staging() -> TrustRoot {
    TrustRoot::parse(STAGING, "{\"keys\":[]}").unwrap()
}

fn npm_document(bundle: &str) -> String {
    format!("{{\"attestations\":[{{\"bundle\":{bundle}}}]}}")
}

fn npm_build(document: &str) -> Result<Provenance, Flaw> {
    npm(npm_document(document).as_bytes(), ("sigstore", "2.0.0"), OF_2_0_0, &root())
}

#[test]
fn the_build_of_an_npm_package_is_verified() {
    let publisher = npm_build(NPM_BUILD).unwrap().publisher.unwrap();
    assert_eq!(publisher.issuer, "https://token.actions.githubusercontent.com");
    assert_eq!(publisher.repository.as_deref(), Some("https://github.com/sigstore/sigstore-js"));
    let workflow = "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml";
    assert_eq!(publisher.subject, workflow);
    // Numbers that stay when names change hands.
    assert_eq!(publisher.repository_id.as_deref(), Some("495574555"));
    assert_eq!(publisher.owner_id.as_deref(), Some("71096353"));
    assert_eq!(npm_build(NPM_BUILD).unwrap().reference.as_deref(), Some("refs/heads/main"));
}

#[test]
fn what_a_registry_published_is_verified() {
    let package = ("sigstore", "0.4.0");
    let found = npm(NPM_PUBLISH.as_bytes(), package, OF_0_4_0, &root()).unwrap();
    assert_eq!(found, Provenance { registry: true, ..Provenance::default() });
}

#[test]
fn a_bundle_with_a_log_of_either_version_is_verified() {
    for (document, root) in [(DSSE, root()), (REKOR_2, staging())] {
        let (publisher, kind) = bundle(document.as_bytes(), CONDA, &root).unwrap();
        let publisher = publisher.unwrap();
        assert!(!publisher.issuer.is_empty(), "{publisher}");
        assert!(kind.contains("attestations-publish-1"), "{kind}");
    }
}

#[test]
fn the_file_of_a_python_package_is_verified() {
    let found = python(PYTHON.as_bytes(), WHEEL, OF_WHEEL, &staging()).unwrap();
    let publisher = found.publisher.unwrap();
    assert_eq!(publisher.issuer, "https://github.com/login/oauth");
    assert_eq!(publisher.repository, None);
    // The staging instance is not in the root that ships.
    let refused = python(PYTHON.as_bytes(), WHEEL, OF_WHEEL, &root());
    assert!(matches!(refused, Err(Flaw::Log(_))), "{refused:?}");
}

#[test]
fn a_publisher_is_the_same_only_with_its_numbers() {
    let is = npm_build(NPM_BUILD).unwrap().publisher.unwrap();
    let was = |change: fn(&mut Publisher)| {
        let mut was = is.clone();
        change(&mut was);
        was
    };
    assert!(is.is_still(&is));
    // What was pinned before there were numbers.
    let old = was(|p| (p.repository_id, p.owner_id) = (None, None));
    assert!(old.is_still(&is) && !is.is_still(&old));
    let changes: [fn(&mut Publisher); 5] = [
        |p| p.issuer.push('x'),
        |p| p.repository = None,
        |p| p.subject.push('x'),
        |p| p.repository_id = Some("1".to_owned()),
        |p| p.owner_id = Some("1".to_owned()),
    ];
    for change in changes {
        assert!(!was(change).is_still(&is), "{}", was(change));
    }
}

/// `document` without what is at `path`.
fn without(document: &str, path: &str, key: &str) -> String {
    let mut document: serde_json::Value = serde_json::from_str(document).unwrap();
    document.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    document.to_string()
}

#[test]
fn a_promise_alone_is_enough_for_the_first_format_only() {
    let entry = "/verificationMaterial/tlogEntries/0";
    assert!(npm_build(&without(NPM_BUILD, entry, "inclusionProof")).is_ok());
    let shown = Flaw::Log("nothing shows that the log has it");
    for (path, key) in
        [(entry, "inclusionProof"), (&format!("{entry}/inclusionProof"), "checkpoint")]
    {
        let refused = bundle(without(DSSE, path, key).as_bytes(), CONDA, &root());
        assert_eq!(refused.unwrap_err(), shown, "{key}");
    }
    let entry =
        "/attestation_bundles/0/attestations/0/verification_material/transparency_entries/0";
    let document = without(PYTHON, entry, "inclusionProof");
    assert_eq!(python(document.as_bytes(), WHEEL, OF_WHEEL, &staging()).unwrap_err(), shown);
}

#[test]
fn a_log_confirms_nothing_outside_of_its_time() {
    let mut ended: serde_json::Value = serde_json::from_str(STAGING).unwrap();
    for log in ended["tlogs"].as_array_mut().unwrap() {
        log["publicKey"]["validFor"] =
            serde_json::json!({"start": "2001-01-01T00:00:00Z", "end": "2002-01-01T00:00:00Z"});
    }
    let ended = TrustRoot::parse(&ended.to_string(), "{\"keys\":[]}").unwrap();
    let refused = bundle(REKOR_2.as_bytes(), CONDA, &ended).unwrap_err();
    assert_eq!(refused, Flaw::Log("the log's key was not good at the time"));
    let refused = python(PYTHON.as_bytes(), WHEEL, OF_WHEEL, &ended).unwrap_err();
    assert!(matches!(refused, Flaw::Log(_)), "{refused}");
}

#[test]
fn what_is_of_another_artefact_is_refused() {
    let build = npm_document(NPM_BUILD);
    let other = OF_0_4_0;
    for (package, digest) in [
        (("sigstore", "2.0.1"), OF_2_0_0),
        (("sigstore2", "2.0.0"), OF_2_0_0),
        (("sigstore", "2.0.0"), other),
        (("sigstore", "2.0.0"), ""),
    ] {
        assert_eq!(npm(build.as_bytes(), package, digest, &root()), Err(Flaw::Subject));
    }
    let other = python(PYTHON.as_bytes(), "rfc8785-0.1.3-py3-none-any.whl", OF_WHEEL, &staging());
    assert_eq!(other, Err(Flaw::Subject));
    let other = python(PYTHON.as_bytes(), WHEEL, &"0".repeat(64), &staging());
    assert_eq!(other, Err(Flaw::Subject));
}

#[test]
fn what_a_registry_published_of_another_package_is_refused() {
    let refused = npm(NPM_PUBLISH.as_bytes(), ("sigstore", "0.4.1"), OF_0_4_0, &root());
    assert_eq!(refused, Err(Flaw::Subject));
}

/// Whether a text of a document is there for nothing that is verified.
fn is_idle(path: &str) -> bool {
    // Beside the first, certificates of the chain are the root's own; a key's name in the envelope
    // and who an index says that the publisher is are nobody's word.
    ["keyid", "publisher", "predicateType", "hint"].iter().any(|key| path.ends_with(key))
        || path.contains("/publisher/")
}

/// Every text within `value` that is base64, by its path.
fn texts(value: &serde_json::Value, path: &str, out: &mut Vec<String>) {
    match value {
        serde_json::Value::String(_) if !is_idle(path) => out.push(path.to_owned()),
        serde_json::Value::Array(all) => {
            for (n, inner) in all.iter().enumerate() {
                texts(inner, &format!("{path}/{n}"), out);
            }
        }
        serde_json::Value::Object(all) => {
            for (key, inner) in all {
                texts(inner, &format!("{path}/{key}"), out);
            }
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// `document` with one byte of the text at `path` changed: of what base64 stands for, or else of the
/// text itself.
fn broken(document: &str, path: &str, at: usize) -> Option<String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut document: serde_json::Value = serde_json::from_str(document).unwrap();
    let text = document.pointer_mut(path).unwrap();
    let old = text.as_str().unwrap().to_owned();
    let new = match STANDARD.decode(&old) {
        Ok(mut bytes) if old.len() > 20 => {
            *bytes.get_mut(at)? ^= 1;
            STANDARD.encode(bytes)
        }
        Ok(_) | Err(_) => {
            let mut bytes = old.clone().into_bytes();
            *bytes.get_mut(at)? ^= 1;
            String::from_utf8(bytes).ok()?
        }
    };
    *text = serde_json::Value::String(new);
    Some(document.to_string())
}

/// Breaks every text of `document` at every `step`th byte; `holds` says whether it still holds.
fn each_broken(document: &str, step: usize, holds: &dyn Fn(&str) -> bool) {
    assert!(holds(document));
    let mut paths = Vec::new();
    texts(&serde_json::from_str(document).unwrap(), "", &mut paths);
    let mut tried = 0;
    for path in paths {
        for at in (0..).step_by(step) {
            let Some(text) = broken(document, &path, at) else {
                if at > 8192 || broken(document, &path, 0).is_none() || at > 0 {
                    break;
                } else {
                    continue;
                }
            };
            // Witnesses beside the log, and what a timestamp says of its signer, are nobody's word.
            let beside = path.ends_with("/envelope") && at > 200
                || path.ends_with("/signedTimestamp") && !(80..248).contains(&at) && at < 1160;
            if document == REKOR_2 && beside {
                continue;
            }
            tried += 1;
            assert!(!holds(&text), "byte {at} of {path}");
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn one_changed_byte_anywhere_is_found() {
    let (root, staging) = (root(), staging());
    each_broken(&npm_document(NPM_BUILD), 7, &|text| {
        npm(text.as_bytes(), ("sigstore", "2.0.0"), OF_2_0_0, &root).is_ok()
    });
    each_broken(NPM_PUBLISH, 3, &|text| {
        npm(text.as_bytes(), ("sigstore", "0.4.0"), OF_0_4_0, &root).is_ok()
    });
    each_broken(PYTHON, 5, &|text| python(text.as_bytes(), WHEEL, OF_WHEEL, &staging).is_ok());
    each_broken(DSSE, 7, &|text| bundle(text.as_bytes(), CONDA, &root).is_ok());
    each_broken(REKOR_2, 7, &|text| bundle(text.as_bytes(), CONDA, &staging).is_ok());
}
