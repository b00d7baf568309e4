//! What is offered while a person types.
use std::{collections::BTreeMap, time::Duration};

use tagout_gateway::config::Config;
use tagout_host::{Reference, Session};
use tagout_llm::{Planner, Row};
use tagout_terminal::Candidate;

use super::commands::COMMANDS;
use crate::{
    models::{self, Standing},
    places::Places,
};

/// What there is to complete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers {
    /// Names of prompts, with their arguments.
    pub(crate) prompts: Vec<(String, Vec<String>)>,
    /// What servers propose for a prompt's arguments, by prompt and argument.
    pub(crate) values: BTreeMap<(String, String), Vec<String>>,
    /// `@SERVER:URI` of resources, those that templates stand for among them.
    pub(crate) resources: Vec<String>,
    /// Models that are worth naming.
    pub(crate) models: Vec<String>,
    /// Tools, on the allow-list or not.
    pub(crate) tools: Vec<String>,
}

/// How long servers have to propose values, all of them together.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// As many templates, prompts and arguments are asked about.
const ASKED: usize = 16;

/// What can be completed in this session. What cannot be listed is not offered.
pub(crate) async fn offers(places: &Places, session: &mut Session, config: &Config) -> Offers {
    let models = models_of(places, &config.host.model);
    let mut offers = Offers { models, ..Offers::default() };
    offers.tools = session.listed().iter().map(|tool| tool.name.clone()).collect();
    if let Ok(prompts) = session.prompts().await {
        let named = prompts.iter().map(|prompt| {
            let arguments = prompt.arguments.iter().map(|argument| argument.name.clone());
            (prompt.name.clone(), arguments.collect())
        });
        offers.prompts = named.collect();
    }
    if let Ok(resources) = session.resources().await {
        let named = resources.iter().map(|one| format!("@{}:{}", one.server, one.uri));
        offers.resources = named.collect();
    }
    // Nobody waits long for what only helps with typing.
    drop(tokio::time::timeout(PATIENCE, proposed(session, &mut offers)).await);
    offers
}

/// What servers propose for prompts' arguments and for templates of one variable; what comes late is
/// not offered.
async fn proposed(session: &mut Session, offers: &mut Offers) {
    let none = BTreeMap::new();
    let templates = session.templates().await.map(<[_]>::to_vec).unwrap_or_default();
    for template in templates.iter().take(ASKED) {
        let &[variable] = template.variables().as_slice() else { continue };
        let place = template.uri_template.find('{').zip(template.uri_template.find('}'));
        let whole = &template.uri_template;
        let (Some(before), Some(after)) = (
            place.and_then(|(at, _)| whole.get(..at)),
            place.and_then(|(_, at)| whole.get(at + 1..)),
        ) else {
            continue;
        };
        let values = session.complete(Reference::Template(whole), variable, "", &none).await;
        for value in values.unwrap_or_default() {
            let named = format!("@{}:{before}{value}{after}", template.server);
            if !offers.resources.contains(&named) && !value.contains(char::is_whitespace) {
                offers.resources.push(named);
            }
        }
    }
    for (prompt, arguments) in offers.prompts.clone().into_iter().take(ASKED) {
        for argument in arguments.into_iter().take(ASKED) {
            let values = session.complete(Reference::Prompt(&prompt), &argument, "", &none).await;
            offers.values.insert((prompt.clone(), argument), values.unwrap_or_default());
        }
    }
}

/// Models that would answer: the configured one, and those that are known of providers which need
/// no key, or whose key is there. Of a provider of whose models none is known, its name.
fn models_of(places: &Places, configured: &str) -> Vec<String> {
    let mut found = vec![configured.to_owned(), Planner::NAME.to_owned()];
    if let Ok(providers) = models::providers(places) {
        let usable = |row: &&Row| models::standing(places, row) != Standing::Missing;
        for row in providers.rows().filter(usable) {
            let known =
                providers.catalogue.models().iter().filter(|entry| entry.provider == row.name);
            let before = found.len();
            found.extend(known.map(|entry| format!("{}:{}", entry.provider, entry.id)));
            if found.len() == before {
                found.push(format!("{}:", row.name));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where the word at `at` starts, and what it could become.
pub(crate) fn complete(offers: &Offers, line: &str, at: usize) -> (usize, Vec<Candidate>) {
    let before = line.get(..at).unwrap_or(line);
    let start = before.rfind(char::is_whitespace).map_or(0, |space| {
        space + before.get(space..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    });
    let word = before.get(start..).unwrap_or_default();
    let candidates = possible(offers, before, start)
        .into_iter()
        .filter(|candidate| candidate.starts_with(word) && candidate.len() > word.len());
    let candidate =
        |word: String| Candidate { display: word.trim_end().to_owned(), replacement: word };
    (start, candidates.map(candidate).collect())
}

fn possible(offers: &Offers, before: &str, start: usize) -> Vec<String> {
    if start == 0 && before.starts_with('/') {
        // What takes something more is followed by a space.
        let named = |name: &str, alone: bool| format!("/{name}{}", if alone { "" } else { " " });
        let commands = COMMANDS.iter().map(|(name, rest, _)| named(name, rest.is_empty()));
        let prompts = offers.prompts.iter().map(|(name, needs)| named(name, needs.is_empty()));
        return commands.chain(prompts).collect();
    }
    if before.get(start..).is_some_and(|word| word.starts_with('@')) {
        return offers.resources.clone();
    }
    let command = before.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    match command {
        Some("model") => offers.models.clone(),
        Some("tools" | "permissions") => offers.tools.clone(),
        Some(name) => {
            let prompt = offers.prompts.iter().find(|(prompt, _)| prompt == name);
            let arguments = prompt.map(|(_, arguments)| arguments.as_slice()).unwrap_or_default();
            let full = prompt.map(|(name, _)| name.clone()).unwrap_or_default();
            let written = before.get(start..).and_then(|word| word.split_once('='));
            if let Some((argument, _)) = written {
                let values = offers.values.get(&(full, argument.to_owned()));
                return values.into_iter().flatten().map(|v| format!("{argument}={v}")).collect();
            }
            arguments.iter().map(|argument| format!("{argument}=")).collect()
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> (usize, Vec<String>) {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let offers = Offers {
            prompts: vec![("grid__morning_brief".into(), own(&["region", "day"]))],
            values: BTreeMap::from([(
                ("grid__morning_brief".into(), "region".into()),
                own(&["north", "south"]),
            )]),
            resources: own(&["@grid:grid://load/north", "@grid:grid://topology/north"]),
            models: own(&["offline:planner"]),
            tools: own(&["grid__forecast_load"]),
        };
        let (start, found) = complete(&offers, line, line.len());
        (start, found.into_iter().map(|one| one.replacement).collect())
    }

    #[test]
    fn words_are_completed_by_what_stands_before_them() {
        for (line, expected) in [
            ("/mo", (0, vec!["/model "])),
            ("/he", (0, vec!["/help"])),
            ("/grid", (0, vec!["/grid__morning_brief "])),
            ("/grid__morning_brief re", (21, vec!["region="])),
            ("/grid__morning_brief region=n", (21, vec!["region=north"])),
            ("/model off", (7, vec!["offline:planner"])),
            ("/tools g", (7, vec!["grid__forecast_load"])),
            ("what of @grid:grid://l", (8, vec!["@grid:grid://load/north"])),
            ("what of mo", (8, vec![])),
            ("ü @grid:grid://t", (3, vec!["@grid:grid://topology/north"])),
        ] {
            let (start, found) = expected;
            assert_eq!(offered(line), (start, found.into_iter().map(str::to_owned).collect()));
        }
    }
}
