//! `approver`: who may answer questions.
use std::{fs, path::Path, process::ExitCode, sync::Arc};

use jiff::tz::TimeZone;
use tagout_gateway::{
    Gateway,
    approval::{
        ApproverKey, ApproverSigner, EnrolTrouble, Enrolled, KeyFileTrouble, NewApprover, Standing,
        key_file,
    },
};
use tagout_proto::Secret;
use tagout_store::{KeyGroups, KeyName};

use crate::{
    cli::{Approver, ApproverAdd},
    failure::{Ended, Failure},
    output,
    passphrase::Person,
    places::Places,
    setup::Setup,
};

/// Enrols, lists or revokes approvers.
pub(crate) fn approver(
    places: &Places,
    approver: &Approver,
    json: bool,
) -> Result<ExitCode, Failure> {
    let gateway = Setup::read(places)?.open(places)?;
    match approver {
        Approver::Add(add) => enrol(places, &gateway, add, json),
        Approver::List => list(&gateway, json),
        Approver::Revoke { name, yes } => revoke(&gateway, name, (*yes, json)),
    }
}

fn enrol(
    places: &Places,
    gateway: &Arc<Gateway>,
    add: &ApproverAdd,
    json: bool,
) -> Result<ExitCode, Failure> {
    let misnamed = |error| Failure::usage("key-name", error, "choose another name");
    let name: KeyName = add.name.parse().map_err(misnamed)?;
    let groups = KeyGroups::new(add.group.iter().cloned()).map_err(misnamed)?;
    let user = match &add.user {
        Some(user) => user.parse::<KeyName>().map_err(misnamed)?.to_string(),
        None => gateway.user().to_owned(),
    };
    let first = gateway.next_enrols_itself().map_err(|error| trouble(&error))?;
    let folder = folder(places);
    // Before anybody types anything in vain.
    let known = gateway.approvers().map_err(|error| trouble(&error))?;
    if known.iter().any(|one| one.stored.name == name) {
        return Err(trouble(&EnrolTrouble::Exists(name)));
    }
    if !first && !known.iter().any(|one| one.standing == Standing::Counts) {
        return Err(trouble(&EnrolTrouble::NotFirst));
    }
    let by = if first { None } else { Some(own_key(gateway, folder, add.by.as_deref())?) };
    let mut person = Person::there()?;
    let (key, signer) = make(&mut person, &name)?;
    let by = by.map(|by| opened(&mut person, &by, " (who enrols)")).transpose()?;
    let path = key_file(folder, &name);
    key.save(&path).map_err(|error| unusable(&error))?;
    let public = key.public().to_owned();
    let new = NewApprover { name, user, groups, webhook: add.webhook, public };
    let enrolled = gateway.enrol(&new, by.as_ref().unwrap_or(&signer));
    if let Err(error) = enrolled {
        // Nobody's key: it was made a moment ago, for this.
        drop(fs::remove_file(&path));
        return Err(trouble(&error));
    }
    told(&new, &path, json)
}

fn told(new: &NewApprover, path: &Path, json: bool) -> Result<ExitCode, Failure> {
    if json {
        output::json(&serde_json::json!({
            "name": new.name.as_str(), "user": new.user, "groups": new.groups.as_set(),
            "webhook": new.webhook, "public": new.public, "file": path,
        }))?;
    } else {
        output::line(format_args!(
            "`{}` may answer questions, as {}\nkey     {}\npublic  {}",
            new.name,
            new.user,
            path.display(),
            new.public
        ))?;
    }
    output::aside(
        "To let nobody else's word count, list the public keys in the configuration, where the\n\
         client's user cannot write: [approval] approvers = [\"ed25519:…\"]",
    );
    Ok(Ended::Done.into())
}

fn make(person: &mut Person, name: &KeyName) -> Result<(ApproverKey, ApproverSigner), Failure> {
    let first = person.passphrase(&format!("New passphrase for {name}"))?;
    let again = person.passphrase("The same again")?;
    if first.expose() != again.expose() {
        let help = "nothing was made; try again";
        return Err(Failure::usage("approver-passphrase", "the two differ", help));
    }
    ApproverKey::make(name, &first).map_err(|error| unusable(&error))
}

fn list(gateway: &Gateway, json: bool) -> Result<ExitCode, Failure> {
    let all = gateway.approvers().map_err(|error| trouble(&error))?;
    if all.is_empty() && !json {
        output::line("no approvers; enrol one with `tagout approver add NAME`")?;
    }
    let mut rows = Vec::new();
    for Enrolled { stored, standing } in &all {
        if json {
            output::json(&serde_json::json!({
                "name": stored.name.as_str(), "user": stored.user, "groups": stored.groups,
                "webhook": stored.webhook, "public": stored.public,
                "enrolled_by": stored.enrolled_by, "enrolled": stored.enrolled_at,
                "revoked": stored.revoked_at, "standing": standing.as_str(),
            }))?;
            continue;
        }
        let groups: Vec<_> = stored.groups.iter().map(String::as_str).collect();
        rows.push(vec![
            stored.name.to_string(),
            standing.as_str().to_owned(),
            format!("as {}", stored.user),
            format!("since {}", stored.enrolled_at.to_zoned(TimeZone::UTC).date()),
            format!("by {}", stored.enrolled_by),
            if stored.webhook { "webhook" } else { "" }.to_owned(),
            stored.public.clone(),
            groups.join(", "),
        ]);
    }
    if !rows.is_empty() {
        output::line(tagout_terminal::printable(&output::table(&rows)))?;
    }
    Ok(Ended::Done.into())
}

fn revoke(gateway: &Gateway, name: &str, (yes, json): (bool, bool)) -> Result<ExitCode, Failure> {
    let unknown = || trouble(&EnrolTrouble::Unknown(name.to_owned()));
    let parsed: KeyName = name.parse().map_err(|_| unknown())?;
    let known = gateway.approvers().map_err(|error| trouble(&error))?;
    let counting = || known.iter().filter(|one| one.standing == Standing::Counts);
    let is_last = counting().count() == 1 && counting().all(|one| one.stored.name == parsed);
    if !yes {
        if !known.iter().any(|one| one.stored.name == parsed) {
            return Err(unknown());
        }
        let mut person = Person::there()?;
        if is_last {
            person.show(LAST)?;
        }
        let typed = person.word(&format!("Type {parsed} to let their word count no more"))?;
        if typed != parsed.as_str() {
            let help = "nobody was revoked";
            return Err(Failure::usage("approver-unknown", "that is another name", help));
        }
    }
    gateway.revoke_approver(&parsed).map_err(|error| trouble(&error))?;
    if yes && is_last {
        output::aside(LAST);
    }
    if json {
        output::json(&serde_json::json!({ "revoked": parsed.as_str() }))?;
    } else {
        output::line(format_args!(
            "revoked `{parsed}`: what they said and no call has used is void"
        ))?;
    }
    Ok(Ended::Done.into())
}

const LAST: &str = "This is the last approver. Whoever comes next is enrolled only once the configuration lists\n\
     a public key under [approval] approvers: see `approver-not-first`.";

/// The folder of keys.
pub(super) fn folder(places: &Places) -> &Path {
    places.head_key.parent().unwrap_or(Path::new("/"))
}

/// The key of `name`; where nobody is named, the only one that is here and whose word counts.
pub(super) fn own_key(
    gateway: &Gateway,
    folder: &Path,
    name: Option<&str>,
) -> Result<ApproverKey, Failure> {
    let unknown = |message: String, help: &str| Failure::usage("approver-unknown", message, help);
    if let Some(name) = name {
        let parsed: KeyName = name.parse().map_err(|_| {
            unknown(format!("nobody is called `{name}`"), "see `tagout approver list`")
        })?;
        return ApproverKey::load(&key_file(folder, &parsed)).map_err(|error| unusable(&error));
    }
    let known = gateway.approvers().map_err(|error| trouble(&error))?;
    let counting = known.iter().filter(|one| one.standing == Standing::Counts);
    let here = counting.map(|one| key_file(folder, &one.stored.name)).filter(|path| path.exists());
    match here.collect::<Vec<_>>().as_slice() {
        [one] => ApproverKey::load(one).map_err(|error| unusable(&error)),
        [] => Err(unknown(
            "there is no key of anybody whose word counts here".to_owned(),
            "enrol somebody with `tagout approver add NAME`",
        )),
        _ => Err(unknown(
            "there are several keys here".to_owned(),
            "say whose it is to be: `--as NAME`, or `--by NAME` for `tagout approver add`",
        )),
    }
}

/// The key, opened by the passphrase that is typed.
pub(super) fn opened(
    person: &mut Person,
    key: &ApproverKey,
    why: &str,
) -> Result<ApproverSigner, Failure> {
    let name = tagout_terminal::printable(key.name());
    let passphrase: Secret<String> = person.passphrase(&format!("Passphrase of {name}{why}"))?;
    key.open(&passphrase).map_err(|error| unusable(&error))
}

fn unusable(error: &KeyFileTrouble) -> Failure {
    match error {
        KeyFileTrouble::Short => Failure::usage(error.code(), error, error.help()),
        KeyFileTrouble::Passphrase => {
            Failure::new(Ended::Refused, error.code(), error).with_help(error.help())
        }
        KeyFileTrouble::File { .. } | KeyFileTrouble::Unusable { .. } | KeyFileTrouble::Unmade => {
            Failure::of(error, error.code(), error.help())
        }
    }
}

fn trouble(error: &EnrolTrouble) -> Failure {
    match error {
        EnrolTrouble::Exists(_)
        | EnrolTrouble::KeyTaken
        | EnrolTrouble::NotFirst
        | EnrolTrouble::Group { .. }
        | EnrolTrouble::Unknown(_)
        | EnrolTrouble::Full => Failure::usage(error.code(), error, error.help()),
        EnrolTrouble::Store(_) | EnrolTrouble::Audit(_) => {
            Failure::of(error, error.code(), error.help())
        }
    }
}
