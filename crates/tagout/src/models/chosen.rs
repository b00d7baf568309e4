//! What stands behind `PROVIDER:MODEL`.
use std::{path::Path, sync::Arc};

use tagout_llm::{
    Facts, ModelId, Planner, Provider, Providers, Reach, Remote, Row, Script,
    tape::{Player, Recorder},
    transport::Transport,
};

use super::{
    key,
    network::{Network, Passing},
    recorded, table,
};
use crate::{
    failure::Failure,
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
}

impl Chosen {
    fn plain(provider: Arc<dyn Provider>) -> Self {
        Self { provider, facts: None, warning: None }
    }
}

const HELP: &str = "see `tagout models ls`; `offline:planner` needs no key and no network";

/// The model that `text` names.
pub(crate) fn choose(places: &Places, text: &str) -> Result<Chosen, Failure> {
    let model = parsed(text)?;
    match model.provider() {
        "offline" if model.as_str() == Planner::NAME => Ok(Chosen::plain(Arc::new(Planner::new()))),
        "script" => script(&model),
        "record" => record(places, &model),
        "replay" => replay(places, &model),
        _ => remote(places, &model, Way::Network),
    }
}

/// The provider called `name`, of which no model was chosen.
pub(crate) fn provider(places: &Places, name: &str) -> Result<Remote, Failure> {
    let model = parsed(&format!("{name}:any"))?;
    let providers = table::providers(places)?;
    let row = providers.find(name).ok_or_else(|| unknown(&model, &providers))?.clone();
    let (key, transport) = (key::key(places, &row)?, transport(&model, &row, Way::Network)?);
    let reach = Reach { key, transport, clock: Arc::new(Passing(clock())) };
    Ok(Remote::new(row, model, None, reach))
}

fn parsed(text: &str) -> Result<ModelId, Failure> {
    text.parse().map_err(|error| Failure::usage("model-unknown", error, HELP))
}

fn script(model: &ModelId) -> Result<Chosen, Failure> {
    let path = Path::new(model.name());
    let help = "a script is a TOML file of `[[turn]]` tables";
    let bad = |message: String| Failure::usage("provider-file", message, help);
    let Some(text) = setup::read(path)? else {
        return Err(bad(format!("there is no file `{}`", path.display())));
    };
    let script = Script::parse(model.to_string(), &text)
        .map_err(|error| bad(format!("`{}`: {}", path.display(), error.to_string().trim_end())))?;
    Ok(Chosen::plain(Arc::new(script)))
}

fn record(places: &Places, model: &ModelId) -> Result<Chosen, Failure> {
    let Some((folder, recorded)) = model.name().split_once(',') else {
        let message = format!("`{model}` names no model to record");
        let help = "write `record:DIR,PROVIDER:MODEL`";
        return Err(Failure::usage("model-unknown", message, help));
    };
    let recorded = parsed(recorded)?;
    remote(places, &recorded, Way::Recorded(Path::new(folder)))
}

fn replay(places: &Places, model: &ModelId) -> Result<Chosen, Failure> {
    let folder = Path::new(model.name());
    let exchanges = recorded::read(folder)?;
    let first = exchanges.first().map(|exchange| exchange.model.clone()).unwrap_or_default();
    remote(places, &parsed(&first)?, Way::Played(exchanges))
}

/// How a provider is reached.
enum Way<'a> {
    Network,
    Recorded(&'a Path),
    Played(Vec<tagout_llm::tape::Exchange>),
}

fn remote(places: &Places, model: &ModelId, way: Way<'_>) -> Result<Chosen, Failure> {
    let providers = table::providers(places)?;
    let row = providers.find(model.provider()).ok_or_else(|| unknown(model, &providers))?.clone();
    let entry = providers.catalogue.find(model).cloned();
    let key = match &way {
        Way::Network | Way::Recorded(_) => key::key(places, &row)?,
        Way::Played(_) => None,
    };
    let transport = transport(model, &row, way)?;
    let reach = Reach { key, transport, clock: Arc::new(Passing(clock())) };
    let warning = entry.is_none().then(|| {
        let day = &providers.catalogue.as_of;
        format!("`{model}` is not in the catalogue of {day}: its limits and cost are unknown")
    });
    let facts = entry.as_ref().map(|entry| entry.facts);
    let no_tools = facts.is_some_and(|facts| facts.tools == Some(false));
    let warning = warning.or_else(|| no_tools.then(|| format!("`{model}` calls no tools")));
    let provider = Arc::new(Remote::new(row, model.clone(), entry, reach));
    Ok(Chosen { provider, facts, warning })
}

fn transport(model: &ModelId, row: &Row, way: Way<'_>) -> Result<Arc<dyn Transport>, Failure> {
    let network = || {
        let network = Network::new(&row.url);
        network.map_err(|problem| Failure::usage("provider-invalid", problem, ""))
    };
    Ok(match way {
        Way::Network => Arc::new(network()?),
        Way::Recorded(folder) => {
            let deck = Arc::new(recorded::Folder::new(folder)?);
            Arc::new(Recorder::new(model.to_string(), Arc::new(network()?), deck))
        }
        Way::Played(exchanges) => Arc::new(Player::new(model.to_string(), exchanges)),
    })
}

fn unknown(model: &ModelId, providers: &Providers) -> Failure {
    let names: Vec<_> = providers.rows().map(|row| row.name.as_str()).collect();
    let message = format!("there is no model `{model}`; providers are {}", names.join(", "));
    Failure::usage("model-unknown", message, HELP)
}
