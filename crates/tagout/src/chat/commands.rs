//! What begins with a slash.
use std::{collections::BTreeMap, path::Path};

use tagout_host::{AllowList, Attached, Question};
use tagout_llm::Provider as _;
use tagout_terminal::{Card, Tone, listing, table};

use super::{
    input::words,
    live::{Leave, Live},
    start::{self, Model},
};
use crate::{
    command::{audit, sessions},
    conversation::Conversations,
    failure::Failure,
    models,
};

/// What comes after a line was understood.
pub(crate) enum Flow {
    /// The next line.
    On,
    /// A question to work on.
    Ask(Question),
    /// The end of this session.
    Leave(Leave),
}

/// Every command: its name, what may follow it, and what it does.
pub(crate) const COMMANDS: [(&str, &str, &str); 13] = [
    ("help", "", "what there is"),
    ("model", "[PROVIDER:NAME]", "which model answers; go on with another"),
    ("tools", "[NAME]", "the tools of this session; one of them in full"),
    ("permissions", "[PATTERN…]", "what may be called here; narrow it, or `reset`"),
    ("prompts", "", "the prompts that servers offer; `/NAME argument=value` asks one"),
    ("resources", "", "what can be attached to a question, as @SERVER:URI"),
    ("audit", "[COUNT]", "the last records of this session"),
    ("cost", "", "what each model has read, written and cost"),
    ("context", "", "how full the conversation is"),
    ("resume", "[ID]", "the sessions that are kept; go on with one"),
    ("export", "FILE", "write the session to FILE, as Markdown, or as JSON if FILE ends so"),
    ("clear", "", "begin a new session"),
    ("quit", "", "end"),
];

/// What else there is to type.
const KEYS: [(&str, &str); 6] = [
    ("@SERVER:URI", "in a question: attaches a resource"),
    ("//…", "a question that begins with a slash"),
    ("\\", "at the end of a line: goes on with the next one"),
    ("Tab", "completes commands, prompts, resources, models"),
    ("Ctrl-C", "stops an answer; twice, ends"),
    ("Ctrl-D", "ends"),
];

/// Does what `/NAME REST` says. What goes wrong is shown; only a broken terminal is an error.
pub(crate) async fn run(live: &mut Live<'_>, name: &str, rest: &str) -> Result<Flow, Failure> {
    let done = match name {
        "help" | "?" => help(live),
        "model" => model(live, rest).await,
        "tools" => tools(live, rest).await,
        "permissions" => permissions(live, rest),
        "prompts" => prompts(live).await,
        "resources" => resources(live).await,
        "audit" => records(live, rest),
        "cost" => cost(live),
        "context" => context(live),
        "resume" => return resume(live, rest),
        "export" => export(live, rest),
        "clear" => return Ok(Flow::Leave(Leave::Other(None))),
        "quit" | "exit" => return Ok(Flow::Leave(Leave::Quit)),
        other => return prompt(live, other, rest).await,
    };
    if let Err(failure) = done {
        live.trouble(&failure);
    }
    Ok(Flow::On)
}

fn usage(message: impl ToString, help: &str) -> Failure {
    Failure::usage("chat-command", message, help)
}

fn show(live: &Live<'_>, header: &[&str], rows: &[Vec<String>]) {
    let table = table(header, rows, &live.painter.screen());
    let lines: Vec<_> = table.lines().map(str::to_owned).collect();
    live.painter.lines(&lines);
}

fn help(live: &Live<'_>) -> Result<(), Failure> {
    let commands = COMMANDS.iter().map(|(name, rest, does)| {
        let name = format!("/{name} {rest}");
        (name.trim_end().to_owned(), (*does).to_owned())
    });
    let keys = KEYS.iter().map(|(key, does)| ((*key).to_owned(), (*does).to_owned()));
    let all: Vec<_> = commands.chain(keys).collect();
    live.painter.lines(&listing(&all, &live.painter.screen()));
    Ok(())
}

async fn model(live: &mut Live<'_>, rest: &str) -> Result<(), Failure> {
    if rest.is_empty() {
        let info = live.start.model.metered.describe();
        live.painter.say(&format!("{} ({})", info.name, info.note));
        live.painter.aside("`tagout models ls` lists those that there are.");
        return Ok(());
    }
    if models::named(rest).is_some() {
        live.painter.aside("loading the model; Ctrl-C gives up on it");
    }
    let chosen = models::chosen(live.places, rest).await?;
    if let Some(warning) = &chosen.warning {
        live.painter.aside(warning);
    }
    let chosen = Model::of(rest, chosen);
    live.agree(&chosen).await?;
    live.session.change_model(chosen.metered.clone(), chosen.facts);
    live.session.limit(start::limits(&live.start.config, chosen.facts));
    live.conversation.answered_by(&chosen.name);
    let note = chosen.metered.describe().note;
    live.painter.say(&format!("{} answers from now on ({note}).", chosen.name));
    live.start.model = chosen;
    Ok(())
}

async fn tools(live: &mut Live<'_>, rest: &str) -> Result<(), Failure> {
    // They may have changed since the last question.
    live.session.refresh().await.map_err(|error| Failure::of(&error, error.code(), ""))?;
    if !rest.is_empty() {
        let tool = live.session.listed().iter().find(|tool| tool.name == rest);
        let unknown = || usage(format!("there is no tool `{rest}`"), "see /tools");
        let tool = tool.ok_or_else(unknown)?;
        let about = tool.description.as_deref().unwrap_or_default();
        let schema = serde_json::to_string_pretty(&tool.input_schema).unwrap_or_default();
        let called = if live.session.options().allow.allows(&tool.name) {
            "may be called here"
        } else {
            "may not be called here: see /permissions"
        };
        let card = Card::new(&tool.name, Tone::Plain).aside(called);
        let card = card.text(about, Tone::Plain).text("arguments", Tone::Quiet).exact(&schema);
        live.painter.card(&card);
        return Ok(());
    }
    let rows: Vec<_> = live
        .session
        .listed()
        .iter()
        .map(|tool| {
            let shown = live.session.options().allow.allows(&tool.name);
            let title = tool.title.clone().or_else(|| tool.description.clone());
            let title = title.unwrap_or_default();
            let title = title.lines().next().unwrap_or_default().to_owned();
            vec![tool.name.clone(), if shown { "yes" } else { "no" }.to_owned(), title]
        })
        .collect();
    show(live, &["TOOL", "HERE", "WHAT"], &rows);
    live.painter.aside("What policy says of each: `tagout tools ls`.");
    Ok(())
}

fn permissions(live: &mut Live<'_>, rest: &str) -> Result<(), Failure> {
    let configured = live.start.allowed().clone();
    if rest == "reset" {
        live.session.allow(configured);
    } else if !rest.is_empty() {
        let patterns = words(rest).map_err(|why| usage(why, "/permissions PATTERN…"))?;
        let wanted = AllowList::new(&patterns)
            .map_err(|error| usage(error, "tools are called as in /tools"))?;
        // The operator's list is never widened here: only what both allow is left.
        let names = live.session.listed().iter().map(|tool| tool.name.clone());
        let both = names.filter(|name| wanted.allows(name) && configured.allows(name));
        let narrowed = AllowList::new(both).map_err(|error| usage(error, ""))?;
        live.session.allow(narrowed);
    }
    let (listed, here) = (live.session.listed().len(), live.session.tools().len());
    let patterns = live.session.options().allow.patterns().join(", ");
    live.painter.say(&format!("{here} of {listed} tools may be called here."));
    if here < listed {
        live.painter.aside(&format!("allowed: {patterns}"));
    }
    live.painter.aside("Kept approvals: `tagout approve ls`; rules: `tagout policy explain`.");
    Ok(())
}

async fn prompts(live: &mut Live<'_>) -> Result<(), Failure> {
    let prompts = live.session.prompts().await.map_err(|e| Failure::of(&e, e.code(), ""))?;
    let rows: Vec<_> = prompts
        .iter()
        .map(|prompt| {
            let arguments = prompt.arguments.iter().map(|argument| {
                let name = &argument.name;
                if argument.required { format!("{name}=") } else { format!("[{name}=]") }
            });
            let arguments = arguments.collect::<Vec<_>>().join(" ");
            let about = prompt.title.clone().or_else(|| prompt.description.clone());
            vec![format!("/{}", prompt.name), arguments, about.unwrap_or_default()]
        })
        .collect();
    if rows.is_empty() {
        live.painter.say("No server offers a prompt.");
    } else {
        show(live, &["PROMPT", "ARGUMENTS", "WHAT"], &rows);
    }
    live.look_at_offers().await;
    Ok(())
}

async fn resources(live: &mut Live<'_>) -> Result<(), Failure> {
    let resources = live.session.resources().await.map_err(|e| Failure::of(&e, e.code(), ""))?;
    let rows: Vec<_> = resources
        .iter()
        .map(|one| {
            let about = one.title.clone().or_else(|| one.description.clone());
            vec![format!("@{}:{}", one.server, one.uri), about.unwrap_or_default()]
        })
        .collect();
    if rows.is_empty() {
        live.painter
            .say("No server lists a resource; what is not listed may be there all the same.");
    } else {
        show(live, &["RESOURCE", "WHAT"], &rows);
    }
    live.look_at_offers().await;
    Ok(())
}

/// Most records that are looked through for those of this session.
const RECORDS: usize = 2_000;

fn records(live: &Live<'_>, rest: &str) -> Result<(), Failure> {
    let wanted = match rest {
        "" => 20_usize,
        number => number.parse().map_err(|_| usage("how many is a number", "/audit COUNT"))?,
    };
    let rows = match live.conversation.on_record() {
        Some(conversation) => audit::rows_of(live.places, &conversation, RECORDS)?,
        None => Vec::new(),
    };
    let from = rows.len().saturating_sub(wanted);
    let rows = rows.get(from..).unwrap_or_default();
    if rows.is_empty() {
        live.painter.say("Nothing of this session is on record yet.");
    } else {
        let rows: Vec<_> = rows.iter().map(|row| in_chat(row)).collect();
        show(live, &["RECORD", "TIME", "WHAT", "OUTCOME", "RULE"], &rows);
    }
    live.painter
        .aside("`tagout audit trace NUMBER` tells how it came to one, and what came of it.");
    Ok(())
}

/// Who it was is who sits here, and the day is in the log.
fn in_chat(row: &[String]) -> Vec<String> {
    let mut row = row.to_vec();
    if row.len() > 2 {
        row.remove(2);
    }
    if let Some(when) = row.get_mut(1) {
        *when = when.rsplit(' ').next().unwrap_or_default().to_owned();
    }
    row
}

fn cost(live: &Live<'_>) -> Result<(), Failure> {
    let rows = live.spent.rows();
    if rows.is_empty() {
        live.painter.say("Nothing was asked yet.");
    } else {
        show(live, &["MODEL", "TURNS", "TOKENS IN", "OUT", "COST"], &rows);
    }
    Ok(())
}

fn context(live: &Live<'_>) -> Result<(), Failure> {
    let messages = live.session.conversation();
    let bytes = serde_json::to_string(messages).map_or(0, |text| text.len());
    // A token of English has about four letters.
    let tokens = bytes.div_ceil(4);
    let room = live.start.model.facts.and_then(|facts| facts.context);
    let room = room.map_or_else(|| "not known".to_owned(), |tokens| format!("{tokens} tokens"));
    live.painter.say(&format!(
        "{} messages, {bytes} bytes, about {tokens} tokens; the model's room: {room}",
        messages.len()
    ));
    Ok(())
}

fn resume(live: &Live<'_>, rest: &str) -> Result<Flow, Failure> {
    let all = match Conversations::open(live.places, &live.start.config) {
        Ok(all) => all,
        Err(failure) => {
            live.trouble(&failure);
            return Ok(Flow::On);
        }
    };
    if !rest.is_empty() {
        let which = crate::conversation::Which::Named(rest.to_owned());
        return Ok(match all.find(&which) {
            Ok(id) => Flow::Leave(Leave::Other(Some(id.to_string()))),
            Err(failure) => {
                live.trouble(&failure);
                Flow::On
            }
        });
    }
    match sessions::rows(&all) {
        Ok(rows) if rows.is_empty() => live.painter.say("No session is kept."),
        Ok(rows) => {
            show(live, &["ID", "LAST", "MESSAGES", "MODEL", "ABOUT"], &rows);
            live.painter.aside("/resume ID goes on with one.");
        }
        Err(failure) => live.trouble(&failure),
    }
    Ok(Flow::On)
}

fn export(live: &Live<'_>, rest: &str) -> Result<(), Failure> {
    if rest.is_empty() {
        return Err(usage("where to is missing", "/export FILE"));
    }
    let id = live.conversation.id();
    let id =
        id.ok_or_else(|| usage("nothing of this session is kept yet", "ask something first"))?;
    let path = Path::new(rest);
    let all = Conversations::open(live.places, &live.start.config)?;
    sessions::into_file(live.places, &all, &id, path)?;
    live.painter.say(&format!("written to {rest}"));
    Ok(())
}

/// `/PROMPT argument=value …`: what a server's prompt says becomes the question.
async fn prompt(live: &mut Live<'_>, name: &str, rest: &str) -> Result<Flow, Failure> {
    match asked(live, name, rest).await {
        Ok(question) => Ok(Flow::Ask(question)),
        Err(failure) => {
            live.trouble(&failure);
            Ok(Flow::On)
        }
    }
}

async fn asked(live: &mut Live<'_>, name: &str, rest: &str) -> Result<Question, Failure> {
    let of = |error: tagout_host::HostError| Failure::of(&error, error.code(), "");
    let prompts = live.session.prompts().await.map_err(of)?;
    // The server's name may be left out where that is clear.
    let named: Vec<_> = prompts
        .iter()
        .filter(|one| one.name == name || one.name.ends_with(&format!("__{name}")))
        .collect();
    let [one] = named.as_slice() else {
        let (message, help) = if named.is_empty() {
            (format!("there is no command and no prompt `/{name}`"), "see /help and /prompts")
        } else {
            (format!("more than one server offers `{name}`"), "write SERVER__NAME")
        };
        return Err(usage(message, help));
    };
    let given = words(rest).map_err(|why| usage(why, "/NAME argument=value"))?;
    let mut arguments = BTreeMap::new();
    let mut unnamed = one.arguments.iter().map(|argument| &argument.name);
    for word in given {
        let known = |(key, _): &(&str, &str)| one.arguments.iter().any(|a| a.name == *key);
        match word.split_once('=').filter(known) {
            Some((key, value)) => {
                arguments.insert(key.to_owned(), value.to_owned());
            }
            None => {
                let Some(key) = unnamed.find(|key| !arguments.contains_key(*key)) else {
                    return Err(usage(format!("`{word}` belongs to no argument"), "see /prompts"));
                };
                arguments.insert(key.clone(), word);
            }
        }
    }
    let full = one.name.clone();
    let missing = one.arguments.iter().filter(|argument| {
        let given = arguments.get(&argument.name).is_some_and(|value| !value.is_empty());
        argument.required && !given
    });
    let missing: Vec<_> = missing.cloned().collect();
    for argument in missing {
        let value = live.ask_for(&argument).await;
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
            let name = &argument.name;
            usage(format!("`{full}` needs `{name}`"), &format!("/{full} {name}=…"))
        })?;
        arguments.insert(argument.name, value);
    }
    let attached = live
        .fetch(async |session, person| session.prompt_asking(&full, arguments, person).await)
        .await?;
    // It will speak for the person, who should have seen what it says.
    let mut card = Card::new(&full, Tone::Quiet).aside("speaks for you");
    if let Attached::Prompt { messages, .. } = &attached {
        for message in messages {
            card = card.text(&message.joined_text(), Tone::Plain);
        }
    }
    live.painter.card(&card);
    Ok(Question { words: format!("/{name} {rest}").trim().to_owned(), attached: vec![attached] })
}
