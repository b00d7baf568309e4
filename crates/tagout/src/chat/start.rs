//! From the command line and the configuration to a session that can be asked.
use std::{path::PathBuf, sync::Arc};

use tagout_gateway::config::{Config, Instructions};
use tagout_host::{AllowList, Another, Limits, Options};
use tagout_llm::Facts;
use tagout_terminal::printable;
use tokio_util::sync::CancellationToken;

use super::person::Models;
use crate::{
    cli::How,
    command::CONNECT,
    conversation::{Album, Forgotten},
    failure::{Ended, Failure},
    models::{self, Chosen, Consent, Metered},
    output,
    places::Places,
    setup,
};

/// A model that was chosen and agreed to.
pub(crate) struct Model {
    /// As it was named.
    pub(crate) name: String,
    pub(crate) metered: Arc<Metered>,
    pub(crate) facts: Option<Facts>,
    /// Whether the person agrees that anything goes there, where that is elsewhere.
    pub(crate) consent: Option<Arc<Consent>>,
    pub(crate) seed: Option<[u8; 32]>,
}

/// All that a session is started with.
pub(crate) struct Start {
    pub(crate) config: Config,
    pub(crate) model: Model,
    pub(crate) pictures: PathBuf,
    /// Whether nothing is kept, and so no picture.
    passing: bool,
    allow: AllowList,
    instructions: Option<String>,
}

/// What a question may cost where nobody says so, in US dollars.
const COST_USD: f64 = 1.0;

/// The model called `name`; whoever has not agreed that anything goes there is asked, if it may be
/// `asked`.
pub(crate) fn model(places: &Places, name: &str, asked: bool) -> Result<Model, Failure> {
    let mut chosen = models::choose(places, name, &CancellationToken::new())?;
    models::agreed(places, [&mut chosen], asked)?;
    if let Some(warning) = &chosen.warning {
        output::aside(printable(warning));
    }
    Ok(Model::of(name, chosen))
}

impl Model {
    /// A model that was agreed to.
    pub(crate) fn of(name: &str, chosen: Chosen) -> Self {
        let Chosen { provider, facts, consent, seed, .. } = chosen;
        let metered = Arc::new(Metered::new(provider));
        Self { name: name.to_owned(), metered, facts, consent, seed }
    }
}

/// Other models than the session's, by name, as far as the person has agreed to them already.
pub(crate) fn others(places: &Places) -> Models {
    let places = places.clone();
    Box::new(move |name| {
        let (places, name) = (places.clone(), name.to_owned());
        Box::pin(async move {
            let chosen = models::chosen(&places, &name).await?;
            match chosen.consent.filter(|consent| !consent.holds()) {
                Some(consent) => Err(consent.missing(Ended::NeedsApproval)),
                None => Ok(Another { provider: chosen.provider, facts: chosen.facts }),
            }
        })
    })
}

impl Start {
    /// Reads the configuration and looks for the model.
    pub(crate) fn new(places: &Places, how: &How, asked: bool) -> Result<Self, Failure> {
        let config = setup::config(places)?;
        let name = how.model.as_deref().unwrap_or(&config.host.model);
        let model = model(places, name, asked)?;
        if config.servers.is_empty() {
            output::aside(format_args!(
                "`{}` names no server, so there are no tools; the assistant's own come with\n\n\
                 [server.grid]\nbuiltin = \"grid\"\n",
                printable(&places.config.display().to_string())
            ));
        }
        let kept = config.sessions.keep_days > 0 && !how.no_keep;
        let pictures = match &how.pictures {
            Some(folder) => folder.clone(),
            None if kept => Album::kept(places).into_path(),
            None => Album::passing()?.into_path(),
        };
        let passing = how.pictures.is_none() && !kept;
        Ok(Self { passing, ..Self::of(config, model, &how.tools, pictures)? })
    }

    /// Where pictures are not to be kept, what takes them away when it goes.
    pub(crate) fn forgotten_pictures(&self) -> Option<Forgotten> {
        self.passing.then(|| Album::forgotten(self.pictures.clone()))
    }

    /// The same for a model that was agreed to; with the tools of the configuration, if `tools` names
    /// none.
    pub(crate) fn of(
        config: Config,
        model: Model,
        tools: &[String],
        pictures: PathBuf,
    ) -> Result<Self, Failure> {
        let patterns = if tools.is_empty() { &config.host.tools } else { tools };
        let allow = AllowList::new(patterns).map_err(|error| {
            Failure::usage("allow-list", error, "tools are called as in `tagout tools ls`")
        })?;
        let instructions = match &config.host.instructions {
            None => None,
            Some(Instructions::Text(text)) => Some(text.clone()),
            Some(Instructions::File(path)) => Some(setup::read(path)?.ok_or_else(|| {
                let message = format!("there is no file `{}`", path.display());
                Failure::usage("instructions-missing", message, "see `host.instructions`")
            })?),
        };
        Ok(Self { config, model, pictures, passing: false, allow, instructions })
    }

    /// The tools that the operator lets this session see and call.
    pub(crate) const fn allowed(&self) -> &AllowList {
        &self.allow
    }

    /// What the session may do. With somebody `attended`, the gateway asks through the host.
    pub(crate) fn options(
        &self,
        stop: CancellationToken,
        conversation: Option<String>,
        attended: bool,
    ) -> Options {
        let provider: Arc<Metered> = Arc::clone(&self.model.metered);
        let turn_timeout = models::patience(provider.as_ref());
        let options = Options::new(provider);
        Options {
            facts: self.model.facts,
            allow: self.allow.clone(),
            instructions: self.instructions.clone(),
            limits: limits(&self.config, self.model.facts),
            connect_timeout: CONNECT,
            turn_timeout,
            stop,
            conversation,
            attended,
            roots: self.config.host.roots.clone(),
            seed: self.model.seed.unwrap_or(options.seed),
            ..options
        }
    }
}

/// The bounds of the configuration. What a question may cost is bounded without one too, where the
/// price is known.
pub(crate) fn limits(config: &Config, facts: Option<Facts>) -> Limits {
    let bounds = config.host.bounds;
    let priced = facts.is_some_and(|facts| facts.input.is_some() && facts.output.is_some());
    Limits {
        rounds: bounds.rounds,
        calls: bounds.calls,
        calls_per_round: bounds.calls_per_round,
        tokens: Some(bounds.tokens),
        cost_usd: bounds.cost_usd.or(priced.then_some(COST_USD)),
        time: bounds.time,
    }
}
