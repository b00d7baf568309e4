//! Attacks on a server that verifies, each a file in `tests/attacks/assertion/` with the code that
//! it must meet.
use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value};
use tagout_assertion::{Call, SeenOnce, Verifier, digest_of_json};

use crate::sample::{ARGUMENTS, NOW, call, claims, header, parts, signed, signer};

/// What is done to a good statement, and to the call that it comes with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    #[expect(dead_code, reason = "it is for whoever reads the file")]
    what: String,
    stops: String,
    /// Members of the header that are others, signed by the gateway's key…
    #[serde(default)]
    header: Map<String, Value>,
    /// …and claims that are.
    #[serde(default)]
    claims: Map<String, Value>,
    /// The signature is the one of before the change.
    #[serde(default)]
    keeps_signature: bool,
    #[serde(default)]
    heard: Heard,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Heard {
    server: Option<String>,
    tool: Option<String>,
    arguments: Option<String>,
    after_s: i64,
    times: Option<u32>,
}

impl Attack {
    fn token(&self) -> String {
        let good = signer().sign(&claims());
        let [_, said] = parts(&good);
        let token = signed(&changed(&header(), &self.header), &changed(&said, &self.claims));
        if !self.keeps_signature {
            return token;
        }
        let (message, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = good.rsplit_once('.').unwrap();
        format!("{message}.{signature}")
    }

    /// What the server says to it in the end.
    fn meets(&self) -> Option<&'static str> {
        let heard = &self.heard;
        let server = heard.server.as_deref().unwrap_or("files");
        let verifier = Verifier::new(vec![signer().public().clone()], server);
        let arguments = heard.arguments.as_deref().unwrap_or(ARGUMENTS);
        let tool = heard.tool.as_deref().or(call().tool);
        let call = Call { tool, arguments: digest_of_json(arguments).unwrap(), ..call() };
        let (token, mut seen) = (self.token(), SeenOnce::default());
        let mut verify = || verifier.verify(&token, &call, NOW + heard.after_s, &mut seen);
        for _ in 1..heard.times.unwrap_or(1) {
            assert!(verify().is_ok(), "it is refused too early");
        }
        verify().err().map(|error| error.code())
    }
}

fn changed(json: &str, changes: &Map<String, Value>) -> String {
    let mut json: Map<String, Value> = serde_json::from_str(json).unwrap();
    json.extend(changes.clone());
    Value::Object(json).to_string()
}

#[test]
fn each_attack_meets_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/attacks/assertion");
    let mut played = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        let attack: Attack = toml::from_str(&text).unwrap();
        assert_eq!(attack.meets(), Some(attack.stops.as_str()), "{}", path.display());
        played += 1;
    }
    assert!(played > 10, "{played} attacks");
}
