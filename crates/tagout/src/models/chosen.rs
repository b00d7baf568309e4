//! What stands behind `PROVIDER:MODEL`.
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
};

use tagout_llm::{
    Facts, ModelId, Planner, Provider, ProviderInfo, Providers, Reach, Remote, Row, Script, Sink,
    TurnFuture, TurnRequest,
    providers::LOCAL,
    tape::{Player, Recorder},
    transport::Transport,
};
use tagout_proto::Secret;
use tagout_store::Recipient;
use tagout_wire::http::Vet;
use tokio_util::sync::CancellationToken;

use super::{
    consent::{self, Consent},
    key,
    local::{self, Local},
    network::{Network, Passing},
    recorded::{self, Seed},
    table,
};
use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::{self, clock},
};

/// A model that was chosen.
pub(crate) struct Chosen {
    pub(crate) provider: Arc<dyn Provider>,
    /// What the catalogue knows of it.
    pub(crate) facts: Option<Facts>,
    /// What whoever chose it should know.
    pub(crate) warning: Option<String>,
    /// Who gets to see what it is sent, where that leaves this machine.
    pub(crate) recipient: Option<Recipient>,
    /// Whether that was agreed to, once it is to be seen to.
    pub(crate) consent: Option<Arc<Consent>>,
    /// What the random parts of the conversation are to be made from, where it is recorded or played.
    pub(crate) seed: Option<Seed>,
}

impl Chosen {
    fn plain(provider: Arc<dyn Provider>) -> Self {
        Self { provider, facts: None, warning: None, recipient: None, consent: None, seed: None }
    }
}

const HELP: &str = "see `tagout models ls`; `offline:planner` needs no key and no network";

/// The model that `text` names. Blocks while one is loaded from a file, which may take minutes, and
/// gives up on that when told to `stop`.
pub(crate) fn choose(
    places: &Places,
    text: &str,
    stop: &CancellationToken,
) -> Result<Chosen, Failure> {
    // What follows these is a path, which may hold what no model's name does.
    match text.split_once(':') {
        Some(("script", path)) => return script(text, on_disk(path)?),
        Some(("record", rest)) => return record(places, (text, rest), stop),
        Some(("replay", path)) => return replay(places, text, on_disk(path)?),
        Some(_) | None => {}
    }
    if let Some(file) = local::named(text) {
        return from_file(places, file, Way::Network, stop);
    }
    let model = parsed(text)?;
    match model.provider() {
        "offline" if model.as_str() == Planner::NAME => Ok(Chosen::plain(Arc::new(Planner::new()))),
        _ => remote(places, &model, Way::Network),
    }
}

/// The same without blocking. Whoever drops this does not want the model any more: it is loaded no
/// further. What is sent to it, once it is chosen, needs consent each time.
pub(crate) async fn chosen(places: &Places, text: &str) -> Result<Chosen, Failure> {
    let wanted = Wanted(CancellationToken::new());
    let (places, text, stop) = (places.clone(), text.to_owned(), wanted.0.clone());
    let choosing = tokio::task::spawn_blocking(move || {
        let mut chosen = choose(&places, &text, &stop)?;
        consent::guarded(&places, &mut chosen)?;
        Ok(chosen)
    });
    choosing.await.unwrap_or_else(|error| Err(Failure::new(Ended::Failed, "model-server", error)))
}

/// Goes with whoever waits for a model, and takes the row away that says how far it is.
struct Wanted(CancellationToken);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.cancel();
        if io::stderr().is_terminal() {
            output::progress("");
        }
    }
}

/// Bytes of a path, at most.
const PATH_BYTES: usize = 4096;

fn on_disk(path: &str) -> Result<&Path, Failure> {
    if path.is_empty() || path.len() > PATH_BYTES || path.contains(char::is_control) {
        let message = "a path has 1 to 4096 bytes and no control characters";
        return Err(Failure::usage("model-unknown", message, HELP));
    }
    Ok(Path::new(path))
}

/// The provider called `name`, of which no model was chosen.
pub(crate) fn provider(places: &Places, name: &str) -> Result<Remote, Failure> {
    let providers = table::providers(places)?;
    let there_is = format!("there is no provider `{name}`");
    let row = providers.find(name).ok_or_else(|| unknown(&there_is, &providers))?.clone();
    let model = parsed(&format!("{name}:any"))?;
    let key = key::key(places, &row)?;
    let (transport, _) = transport(&model, &row, (Way::Network, None))?;
    let reach = Reach { key, transport, clock: Arc::new(Passing(clock())) };
    Ok(Remote::new(row, model, None, reach))
}

fn parsed(text: &str) -> Result<ModelId, Failure> {
    text.parse().map_err(|error| Failure::usage("model-unknown", error, HELP))
}

fn script(name: &str, path: &Path) -> Result<Chosen, Failure> {
    let help = "a script is a TOML file of `[[turn]]` tables";
    let bad = |message: String| Failure::usage("provider-file", message, help);
    let Some(text) = setup::read(path)? else {
        return Err(bad(format!("there is no file `{}`", path.display())));
    };
    let script = Script::parse(name.to_owned(), &text)
        .map_err(|error| bad(format!("`{}`: {}", path.display(), error.to_string().trim_end())))?;
    Ok(Chosen::plain(Arc::new(script)))
}

fn record(
    places: &Places,
    (text, rest): (&str, &str),
    stop: &CancellationToken,
) -> Result<Chosen, Failure> {
    let Some((folder, recorded)) = rest.rsplit_once(',') else {
        let message = format!("`{text}` names no model to record");
        let help = "write `record:DIR,PROVIDER:MODEL`";
        return Err(Failure::usage("model-unknown", message, help));
    };
    let way = Way::Recorded(on_disk(folder)?);
    match local::named(recorded) {
        Some(file) => from_file(places, file, way, stop),
        None => remote(places, &parsed(recorded)?, way),
    }
}

/// A model in a file, which nothing is paid for.
fn from_file(
    places: &Places,
    file: &str,
    way: Way<'_>,
    stop: &CancellationToken,
) -> Result<Chosen, Failure> {
    let providers = table::providers(places)?;
    let unknown = || unknown("there is no provider for files", &providers);
    let row = providers.find(LOCAL).ok_or_else(unknown)?.clone();
    let started = Local::start(places, row, on_disk(file)?, stop)?;
    let entry = providers.catalogue.find(&started.model).cloned();
    let free = Facts { input: Some(0.0), output: Some(0.0), ..Facts::default() };
    let facts = entry.as_ref().map_or(free, |entry| entry.facts);
    let way = (way, Some(started.doorkeeper()));
    let (transport, seed) = transport(&started.model, &started.row, way)?;
    let key = Some(Secret::new(started.key.expose().clone()));
    let reach = Reach { key, transport, clock: Arc::new(Passing(clock())) };
    let inner = Remote::new(started.row.clone(), started.model.clone(), entry, reach);
    let provider = Arc::new(started.with(Arc::new(inner)));
    Ok(Chosen { facts: Some(facts), seed, ..Chosen::plain(provider) })
}

fn replay(places: &Places, name: &str, folder: &Path) -> Result<Chosen, Failure> {
    let exchanges = recorded::read(folder)?;
    let first = exchanges.first().map(|exchange| exchange.model.clone()).unwrap_or_default();
    let played = remote(places, &parsed(&first)?, Way::Played(exchanges))?;
    let note = format!("no language model: a recording of `{first}`");
    let info = ProviderInfo { name: name.to_owned(), language_model: false, note };
    let seed = recorded::seed(folder)?;
    Ok(Chosen { seed, ..Chosen::plain(Arc::new(Replayed { info, inner: played.provider })) })
}

/// A recording, which is not the model that was recorded.
struct Replayed {
    info: ProviderInfo,
    inner: Arc<dyn Provider>,
}

impl Provider for Replayed {
    fn describe(&self) -> ProviderInfo {
        self.info.clone()
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        self.inner.turn(request)
    }

    fn stream<'a>(&'a self, request: TurnRequest<'a>, sink: &'a mut dyn Sink) -> TurnFuture<'a> {
        self.inner.stream(request, sink)
    }
}

/// How a provider is reached.
enum Way<'a> {
    Network,
    Recorded(&'a Path),
    Played(Vec<tagout_llm::tape::Exchange>),
}

fn remote(places: &Places, model: &ModelId, way: Way<'_>) -> Result<Chosen, Failure> {
    let providers = table::providers(places)?;
    let there_is = format!("there is no model `{model}`");
    let row = providers.find(model.provider());
    let row = row.ok_or_else(|| unknown(&there_is, &providers))?.clone();
    let entry = providers.catalogue.find(model).cloned();
    let key = match &way {
        Way::Network | Way::Recorded(_) => key::key(places, &row)?,
        Way::Played(_) => None,
    };
    let recipient = consent::recipient(&row, model);
    let (transport, seed) = transport(model, &row, (way, None))?;
    let reach = Reach { key, transport, clock: Arc::new(Passing(clock())) };
    let warning = entry.is_none().then(|| {
        let day = &providers.catalogue.as_of;
        format!("`{model}` is not in the catalogue of {day}: its limits and cost are unknown")
    });
    let facts = entry.as_ref().map(|entry| entry.facts);
    let no_tools = facts.is_some_and(|facts| facts.tools == Some(false));
    let warning = warning.or_else(|| no_tools.then(|| format!("`{model}` calls no tools")));
    let provider = Arc::new(Remote::new(row, model.clone(), entry, reach));
    Ok(Chosen { provider, facts, warning, recipient, consent: None, seed })
}

/// The way, and the seed that goes with it.
type Reached = (Arc<dyn Transport>, Option<Seed>);

fn transport(
    model: &ModelId,
    row: &Row,
    (way, vet): (Way<'_>, Option<Arc<dyn Vet>>),
) -> Result<Reached, Failure> {
    let network = || {
        let network = Network::new(row, vet);
        network.map_err(|problem| Failure::usage("provider-invalid", problem, ""))
    };
    Ok(match way {
        Way::Network => (Arc::new(network()?), None),
        Way::Recorded(folder) => {
            let deck = Arc::new(recorded::Folder::new(folder)?);
            let seed = deck.seed()?;
            let recorder = Recorder::new(model.to_string(), Arc::new(network()?), deck);
            (Arc::new(recorder), Some(seed))
        }
        Way::Played(exchanges) => (Arc::new(Player::new(model.to_string(), exchanges)), None),
    })
}

fn unknown(there_is: &str, providers: &Providers) -> Failure {
    let names: Vec<_> = providers.rows().map(|row| row.name.as_str()).collect();
    let message = format!("{there_is}; providers are {}", names.join(", "));
    Failure::usage("model-unknown", message, HELP)
}
