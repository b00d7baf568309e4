//! Providers as rows of a table, and rows of one's own from the configuration.
use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf};

use serde::Deserialize;

use crate::{
    catalogue::{Catalogue, Facts},
    settings::Settings,
    wire::{Dialect, Wire},
};

/// Where a key is. The configuration never holds the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef {
    /// In a variable of the environment.
    Env(String),
    /// In a file, whose last line end does not count.
    File(PathBuf),
    /// In the store of secrets, under this name.
    Stored(String),
}

impl KeyRef {
    /// Reads `env://NAME`, where a name is `[A-Za-z_][A-Za-z0-9_]*`, `file://PATH`, or
    /// `secret://NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env://") {
            // A key that was written here by mistake is not taken for a name, and so never shown.
            let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let named = name.bytes().all(inside) && !name.starts_with(|c: char| c.is_ascii_digit());
            let named = named && !name.is_empty();
            return named.then(|| Self::Env(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("secret://") {
            let inside = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            let named = name.bytes().all(inside) && (1..=64).contains(&name.len());
            return named.then(|| Self::Stored(name.to_owned()));
        }
        let path = text.strip_prefix("file://")?;
        (!path.is_empty() && !path.contains('\0')).then(|| Self::File(path.into()))
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env://{name}"),
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Stored(name) => write!(f, "secret://{name}"),
        }
    }
}

/// One provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name, the part of a model identifier before the colon.
    pub name: String,
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// How it is spoken with.
    pub wire: Wire,
    /// Which variety of the wire it speaks.
    pub dialect: Dialect,
    /// Where its key is, if it wants one.
    pub key: Option<KeyRef>,
    /// Whether images are sent to a model of which nothing is known.
    pub images: bool,
    /// What was chosen for it.
    pub settings: Settings,
    /// Whether it stands in the configuration.
    pub configured: bool,
    /// The program that serves a model from a file, for `local`: a path, or a name to look for.
    pub program: Option<String>,
    /// Whether its name may lead to an address of a private network, or to this machine.
    pub private_network: bool,
}

impl Row {
    /// Host and port that requests go to, and no others.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// Whether what this provider's model `model` is sent stays on this machine, as far as its
    /// address and its name say.
    #[must_use]
    pub fn stays_here(&self, model: &str) -> bool {
        is_here(bare(self.host())) && !names_a_cloud(model)
    }
}

/// Whether a model is called as those that Ollama passes on to its maker. It takes such a name in
/// any case, and over OpenAI's wire as well as over its own.
fn names_a_cloud(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    model.ends_with("-cloud") || model.ends_with(":cloud")
}

/// Name, base URL, wire, dialect, variable of the key (empty if it wants none), images.
type Known = (&'static str, &'static str, Wire, Dialect, &'static str, bool);

const CHAT: Wire = Wire::OpenaiChat;

/// The providers that are known by name.
const KNOWN: &[Known] = &[
    (
        "openai",
        "https://api.openai.com/v1",
        Wire::OpenaiResponses,
        Dialect::Openai,
        "OPENAI_API_KEY",
        true,
    ),
    (
        "anthropic",
        "https://api.anthropic.com/v1",
        Wire::AnthropicMessages,
        Dialect::Openai,
        "ANTHROPIC_API_KEY",
        true,
    ),
    (
        "google",
        "https://generativelanguage.googleapis.com/v1beta",
        Wire::GeminiGenerate,
        Dialect::Openai,
        "GEMINI_API_KEY",
        true,
    ),
    ("mistral", "https://api.mistral.ai/v1", CHAT, Dialect::Mistral, "MISTRAL_API_KEY", false),
    ("ollama", "http://127.0.0.1:11434", Wire::Ollama, Dialect::Openai, "", false),
    ("lmstudio", "http://127.0.0.1:1234/v1", CHAT, Dialect::Lmstudio, "", false),
    ("vllm", "http://127.0.0.1:8000/v1", CHAT, Dialect::Vllm, "", false),
    ("llamacpp", "http://127.0.0.1:8080/v1", CHAT, Dialect::Llamacpp, "", false),
    ("local", "http://127.0.0.1:8080/v1", CHAT, Dialect::Llamacpp, "", false),
];

/// The provider whose models may be files.
pub const LOCAL: &str = "local";

/// Names that stand for something else than a provider.
const NOT_ONES_OWN: &[&str] = &["offline", "record", "replay", "script"];

/// A table `[provider.NAME]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenProvider {
    url: Option<String>,
    wire: Option<Wire>,
    dialect: Option<Dialect>,
    /// Any value, so that an error does not repeat what may be a key.
    key: Option<toml::Value>,
    suffix: Option<String>,
    strict: Option<bool>,
    max_output_tokens: Option<u32>,
    temperature: Option<f64>,
    effort: Option<String>,
    num_ctx: Option<u32>,
    images: Option<bool>,
    program: Option<String>,
    #[serde(default)]
    allow_plain_http: bool,
    #[serde(default)]
    allow_private_network: bool,
    #[serde(default)]
    model: BTreeMap<String, WrittenFacts>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFacts {
    context: Option<u64>,
    input: Option<f64>,
    output: Option<f64>,
    tools: Option<bool>,
    vision: Option<bool>,
}

/// What is wrong with a provider's table. Never holds a value that may be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`[provider.{name}]`: {problem}")]
pub struct BadProvider {
    /// The provider.
    pub name: String,
    /// What is wrong.
    pub problem: String,
    /// What was meant.
    pub help: &'static str,
}

impl BadProvider {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "provider-invalid"
    }
}

/// The providers that there are, and what is known of their models.
#[derive(Clone, Debug)]
pub struct Providers {
    rows: BTreeMap<String, Row>,
    /// What is known of models.
    pub catalogue: Catalogue,
}

impl Providers {
    /// Those that are known, and those of the configuration.
    ///
    /// # Errors
    /// [`BadProvider`], the first.
    pub fn new(
        mut catalogue: Catalogue,
        written: BTreeMap<String, WrittenProvider>,
    ) -> Result<Self, BadProvider> {
        let mut rows: BTreeMap<_, _> =
            KNOWN.iter().map(|known| (known.0.to_owned(), row(known))).collect();
        for (name, written) in written {
            for (id, facts) in &written.model {
                let WrittenFacts { context, input, output, tools, vision } = *facts;
                catalogue.correct(&name, id, Facts { context, input, output, tools, vision });
            }
            let row = configured(&name, written, rows.remove(&name))?;
            rows.insert(name, row);
        }
        Ok(Self { rows, catalogue })
    }

    /// A provider by its name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Row> {
        self.rows.get(name)
    }

    /// All of them, by name.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }
}

fn row(known: &Known) -> Row {
    let (name, url, wire, dialect, variable, images) = *known;
    let key = (!variable.is_empty()).then(|| KeyRef::Env(variable.to_owned()));
    let (name, url) = (name.to_owned(), url.to_owned());
    let settings = Settings::default();
    let (configured, program, private_network) = (false, None, false);
    Row { name, url, wire, dialect, key, images, settings, configured, program, private_network }
}

fn configured(name: &str, w: WrittenProvider, known: Option<Row>) -> Result<Row, BadProvider> {
    let bad = |problem: &str, help| {
        let (name, problem) = (name.to_owned(), problem.to_owned());
        BadProvider { name, problem, help }
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=32).contains(&name.len()) || !name.chars().all(plain) || NOT_ONES_OWN.contains(&name) {
        return Err(bad("this cannot be a provider's name", "use 1 to 32 of `a-z 0-9 -`"));
    }
    let moved = w.url.is_some();
    let base = match known {
        Some(row) => row,
        None => {
            let shape = "write `url = \"https://…\"` and `wire = \"openai-chat\"`";
            let wire = w.wire.ok_or_else(|| bad("there is no `wire`", shape))?;
            let url = w.url.clone().ok_or_else(|| bad("there is no `url`", shape))?;
            let dialect = Dialect::default();
            let (name, settings) = (name.to_owned(), Settings::default());
            let (key, images, configured) = (None, false, true);
            let (program, private_network) = (None, false);
            Row {
                name,
                url,
                wire,
                dialect,
                key,
                images,
                settings,
                configured,
                program,
                private_network,
            }
        }
    };
    let url = w.url.clone().unwrap_or(base.url);
    check_url(&url, w.allow_plain_http).map_err(|(problem, help)| bad(problem, help))?;
    let reference = "write \"env://NAME\" for a variable of the environment, or \"file:///PATH\"";
    let key = match &w.key {
        Some(key) => {
            let key = key.as_str().and_then(KeyRef::parse);
            Some(key.ok_or_else(|| bad("`key` is no reference", reference))?)
        }
        // A key that was made for one host is not shown to another.
        None if moved => None,
        None => base.key,
    };
    if w.program.as_ref().is_some_and(|program| name != LOCAL || program.is_empty()) {
        let help = "write `program` under `[provider.local]`, which serves models from files";
        return Err(bad("it has a `program` that nobody starts", help));
    }
    Ok(Row {
        name: name.to_owned(),
        url: url.trim_end_matches('/').to_owned(),
        wire: w.wire.unwrap_or(base.wire),
        dialect: w.dialect.unwrap_or(base.dialect),
        key,
        images: base.images,
        settings: settings(&w).map_err(|(problem, help)| bad(problem, help))?,
        configured: true,
        program: w.program,
        private_network: w.allow_private_network,
    })
}

/// What is wrong, and what to do.
type Problem = (&'static str, &'static str);

fn settings(w: &WrittenProvider) -> Result<Settings, Problem> {
    let usual = Settings::default();
    if w.max_output_tokens.is_some_and(|most| !(16..=1_000_000).contains(&most)) {
        return Err(("`max_output_tokens` is out of range", "use 16 to 1000000"));
    }
    let num_ctx = w.num_ctx.unwrap_or(usual.num_ctx);
    if !(2048..=4_194_304).contains(&num_ctx) {
        return Err(("`num_ctx` is out of range", "use 2048 to 4194304"));
    }
    if w.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
        return Err(("`temperature` is out of range", "use 0 to 2"));
    }
    if w.suffix.as_ref().is_some_and(|suffix| suffix.len() > 4096) {
        return Err(("`suffix` is longer than 4096 bytes", "make it shorter"));
    }
    let word = |effort: &String| {
        (1..=16).contains(&effort.len()) && effort.bytes().all(|b| b.is_ascii_lowercase())
    };
    if w.effort.as_ref().is_some_and(|effort| !word(effort)) {
        return Err(("`effort` is no word that a provider knows", "use `low`, `medium` or `high`"));
    }
    Ok(Settings {
        suffix: w.suffix.clone().filter(|suffix| !suffix.trim().is_empty()),
        strict: w.strict.unwrap_or(usual.strict),
        max_output_tokens: w.max_output_tokens,
        temperature: w.temperature,
        effort: w.effort.clone(),
        num_ctx,
        images: w.images,
    })
}

fn check_url(url: &str, plain: bool) -> Result<(), Problem> {
    const SHAPE: &str = "write `url = \"https://example.com/v1\"`";
    let odd = |b: u8| !b.is_ascii_graphic() || b"\\\"<>^`{|}".contains(&b);
    if url.len() > 2048 || url.bytes().any(odd) {
        return Err(("the URL is too long, or holds characters that URLs do not have", SHAPE));
    }
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(("the URL begins neither with https:// nor http://", SHAPE)),
    };
    if url.contains(['#', '?']) {
        return Err(("the URL has a query or a fragment", "leave out `?`, `#` and what follows"));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(("the URL holds a user or a password", "use `key` with a reference"));
    }
    let host = bare(authority);
    if host.is_empty() {
        return Err(("the URL names no host", SHAPE));
    }
    if !secure && !is_here(host) && !plain {
        let help = "write https://; or `allow_plain_http = true`, and everybody on the way can \
                    read the key and what is sent";
        return Err(("plain http:// goes to this machine only", help));
    }
    Ok(())
}

/// The host of an authority, without its port.
fn bare(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether a host is this machine, by its name alone.
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
