//! `approve`: questions about calls, and people's answers.
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;
use tagout_gateway::{
    Gateway,
    approval::{AnswerTrouble, Asked, Heard, NewAnswer, stored_in_words},
};
use tagout_store::{Answer, Scope};
use tagout_terminal::printable;

use super::approver::{folder, opened, own_key};
use crate::{
    cli::{self, AnswerDeny, Approve},
    failure::{Ended, Failure},
    output,
    passphrase::Person,
    places::Places,
    setup::{Setup, clock},
};

/// Lists, shows and answers questions.
pub(crate) fn approve(places: &Places, approve: Approve, json: bool) -> Result<ExitCode, Failure> {
    let gateway = Setup::read(places)?.open(places)?;
    match approve {
        Approve::Ls { grants: false } => list(&gateway, json),
        Approve::Ls { grants: true } => grants(&gateway, json),
        Approve::Show { id } => show(&gateway, &id, json),
        Approve::Allow(allow) => {
            let scope = match allow.scope {
                cli::Scope::Once => Scope::Once,
                cli::Scope::Conversation => Scope::Conversation,
                cli::Scope::Always => Scope::Always,
            };
            answer(places, &gateway, allow.answer, (Answer::Allow, scope), json)
        }
        Approve::Deny(deny) => answer(places, &gateway, deny, (Answer::Deny, Scope::Once), json),
        Approve::Revoke { id } => {
            let id = gateway.revoke_granted(&id).map_err(|error| trouble(&error))?;
            if json {
                output::json(&json!({ "revoked": id.as_str() }))?;
            } else {
                output::line(format_args!("revoked {id}: the next such call is asked about"))?;
            }
            Ok(Ended::Done.into())
        }
    }
}

fn answer(
    places: &Places,
    gateway: &Gateway,
    said: AnswerDeny,
    (answer, scope): (Answer, Scope),
    json: bool,
) -> Result<ExitCode, Failure> {
    let asked = gateway.asked_as(&said.id).map_err(|error| trouble(&error))?;
    if !asked.is_open(clock().now()) {
        return Err(trouble(&AnswerTrouble::Closed(asked.question.id)));
    }
    let new = NewAnswer { answer, scope, message: said.message };
    // Before anybody types anything in vain.
    asked.takes(&new).map_err(|error| trouble(&error))?;
    let key = own_key(gateway, folder(places), said.by.as_deref())?;
    let mut person = Person::there()?;
    // On the terminal, wherever standard output goes: whoever types sees what it is about.
    person.show(&asked.card.to_string())?;
    let meant = match (answer, scope) {
        (Answer::Deny, _) => "to deny this call",
        (Answer::Allow, Scope::Once) => "to approve this call, once",
        (Answer::Allow, Scope::Conversation) => "to approve just this call for this conversation",
        (Answer::Allow, Scope::Always) => "to approve just this call always",
    };
    person.show(&format!("\n{meant}, question {}", asked.question.id))?;
    let signer = opened(&mut person, &key, "")?;
    let answered = gateway.answer_signed(&asked, new, &signer).map_err(|error| trouble(&error))?;
    if json {
        output::json(&answered)?;
    } else {
        output::line(format_args!(
            "{} {} (`{}`); it takes {}",
            if answer == Answer::Allow { "approved" } else { "denied" },
            answered.id,
            answered.by,
            printable(&asked.card.demand)
        ))?;
    }
    Ok(Ended::Done.into())
}

fn list(gateway: &Gateway, json: bool) -> Result<ExitCode, Failure> {
    let all = gateway.asked().map_err(|error| trouble(&error))?;
    let now = clock().now();
    if json {
        all.iter().try_for_each(|asked| output::json(&in_short(asked)))?;
        return Ok(Ended::Done.into());
    }
    if all.is_empty() {
        output::line("no questions are open")?;
        return Ok(Ended::Done.into());
    }
    let mut rows =
        vec![["question", "age", "for", "call", "needs", "answers"].map(str::to_owned).to_vec()];
    for asked in &all {
        rows.push(vec![
            asked.question.id.to_string(),
            ago(asked.question.opened_at, now),
            asked.card.user.clone(),
            format!("{} on {}", asked.card.subject, asked.card.server),
            asked.card.demand.clone(),
            votes_in_words(&asked.votes),
        ]);
    }
    output::line(printable(&output::table(&rows)))?;
    output::line("see one whole with `tagout approve show QUESTION`")?;
    Ok(Ended::Done.into())
}

fn show(gateway: &Gateway, id: &str, json: bool) -> Result<ExitCode, Failure> {
    let asked = gateway.asked_as(id).map_err(|error| trouble(&error))?;
    let now = clock().now();
    if json {
        let mut value = in_short(&asked);
        if let Some(value) = value.as_object_mut() {
            value.insert("card".to_owned(), json!(asked.card));
        }
        output::json(&value)?;
        return Ok(Ended::Done.into());
    }
    output::line(printable(asked.card.to_string().trim_start()))?;
    let standing = match (asked.question.settled, asked.is_open(now)) {
        (Some(settled), _) => settled.as_str(),
        (None, true) => "open",
        (None, false) => "expired",
    };
    output::line(format_args!(
        "asked {} ago, {standing}; answers: {}",
        ago(asked.question.opened_at, now),
        printable(&votes_in_words(&asked.votes))
    ))?;
    let said = asked.votes.iter().filter(|heard| heard.counts).map(|heard| &heard.vote);
    for vote in said.filter(|vote| !vote.message.is_empty()) {
        output::line(printable(&format!("{}: {}", vote.approver, vote.message)))?;
    }
    Ok(Ended::Done.into())
}

fn grants(gateway: &Gateway, json: bool) -> Result<ExitCode, Failure> {
    let all = gateway.granted().map_err(|error| trouble(&error))?;
    let now = clock().now();
    if all.is_empty() && !json {
        output::line("nothing is approved for more than one call")?;
        return Ok(Ended::Done.into());
    }
    let mut rows = vec![
        ["question", "scope", "for", "call", "by", "since", "until"].map(str::to_owned).to_vec(),
    ];
    for grant in &all {
        if json {
            output::json(&json!({
                "id": grant.id.as_str(), "scope": grant.scope.as_str(), "user": grant.user,
                "what": grant.what, "by": stored_in_words(&grant.by), "channel": grant.channel,
                "at": grant.at, "expires_at": grant.expires_at, "conversation": grant.conversation,
            }))?;
            continue;
        }
        rows.push(vec![
            grant.id.to_string(),
            grant.scope.as_str().to_owned(),
            grant.user.clone(),
            grant.what.clone(),
            stored_in_words(&grant.by),
            format!("{} ago", ago(grant.at, now)),
            grant.expires_at.map_or_else(|| "until it is revoked".to_owned(), |end| ago(now, end)),
        ]);
    }
    if !json {
        output::line(printable(&output::table(&rows)))?;
    }
    Ok(Ended::Done.into())
}

fn in_short(asked: &Asked) -> serde_json::Value {
    let votes = asked.votes.iter().map(|Heard { vote, counts }| {
        json!({
            "by": vote.approver, "user": vote.user, "answer": vote.answer.as_str(),
            "scope": vote.scope.as_str(), "channel": vote.channel.as_str(),
            "message": vote.message, "at": vote.at, "counts": counts,
        })
    });
    let (votes, question) = (votes.collect::<Vec<_>>(), &asked.question);
    json!({
        "id": question.id.as_str(), "opened_at": question.opened_at,
        "expires_at": question.expires_at, "settled": question.settled.map(|s| s.as_str()),
        "user": asked.card.user, "client": asked.card.client, "server": asked.card.server,
        "subject": asked.card.subject, "effects": asked.card.effects, "rule": asked.card.rule,
        "demand": asked.demand, "demand_in_words": asked.card.demand,
        "conversation": question.conversation, "gateway_pid": question.gateway_pid,
        "votes": votes,
    })
}

fn votes_in_words(votes: &[Heard]) -> String {
    if votes.is_empty() {
        return "none".to_owned();
    }
    let words = votes.iter().map(|Heard { vote, counts }| {
        let void = if *counts { "" } else { " (does not count)" };
        format!("{} {}{void}", vote.approver, vote.answer.as_str())
    });
    words.collect::<Vec<_>>().join(", ")
}

/// How long `earlier` is before `later`, in one unit.
fn ago(earlier: Timestamp, later: Timestamp) -> String {
    let seconds = later.duration_since(earlier).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn trouble(error: &AnswerTrouble) -> Failure {
    match error {
        AnswerTrouble::Id(_)
        | AnswerTrouble::Unknown(_)
        | AnswerTrouble::Closed(_)
        | AnswerTrouble::Forged(_)
        | AnswerTrouble::Approver(_)
        | AnswerTrouble::Scope
        | AnswerTrouble::Message
        | AnswerTrouble::Again => Failure::usage(error.code(), error, error.help()),
        AnswerTrouble::Store(_) | AnswerTrouble::Audit(_) => {
            Failure::of(error, error.code(), error.help())
        }
    }
}
