//! How a lockfile is written: in a fixed order, one fact a line, so that a change reads as one.
use std::fmt::{Result, Write as _};

use tagout_inspect::{
    characters::hidden,
    definition::{Hint, Proposal},
};
use tagout_proto::ServerName;
use tagout_store::Offering;

use super::{
    Hints, Lockfile, PinnedFile, PinnedOffer, PinnedServer, PinnedTool, model::write_model,
};

const HEADER: &str = "\
# What has been reviewed of the servers behind Tagout. Review it in a pull request like code.
#
# A server runs by what is said here, not by what it says of itself. What is not as it stands here is
# refused, and hidden from clients. While `reviewed` is false, a tool counts as `exec`, its output as
# untrusted and sensitive, and nothing it is given may leave, whatever stands there.
#   effects       what it may do: read, write, destructive, egress, exec
#   arguments     the types of its arguments, for rules; made from its definition
#   destinations  arguments that say where something goes; `payloads`: those that hold what goes
#   output        whether it may be written by anybody (untrusted), or is not for everybody (sensitive)
#   may_leave     whether what it is given may leave the organisation
# `offers_reviewed` says that a person has confirmed that all of a server's resources and prompts only
# read. Accept what you have looked at: tagout pin --accept SERVER[/NAME]
version = 2
";

impl Lockfile {
    /// The file's text; `hints` are the reasons for what is not reviewed yet.
    #[must_use]
    pub fn text(&self, hints: &Hints) -> String {
        let mut out = String::from(HEADER);
        for (name, server) in &self.servers {
            let written = write_server(&mut out, name, server, hints);
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        for (name, program) in
            self.programs.iter().filter(|(name, _)| !self.servers.contains_key(*name))
        {
            let written = write_program(&mut out, name, program);
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        for (path, model) in &self.models {
            write_model(&mut out, path, model);
        }
        out
    }
}

/// The program of a server of which no more is pinned.
pub(super) fn write_program(out: &mut String, name: &ServerName, program: &PinnedServer) -> Result {
    writeln!(out, "\n[program.{name}]")?;
    write_start(out, program)
}

fn write_server(
    out: &mut String,
    name: &ServerName,
    server: &PinnedServer,
    hints: &Hints,
) -> Result {
    writeln!(out, "\n[server.{name}]")?;
    write_start(out, server)?;
    write_rest(out, (name, server), hints)
}

/// What is started.
fn write_start(out: &mut String, server: &PinnedServer) -> Result {
    if let Some(command) = &server.command {
        writeln!(out, "command = {}", list(command))?;
    }
    if let Some(executable) = &server.executable {
        writeln!(out, "executable = \"{executable}\"")?;
    }
    write_files(out, "files", &server.files)?;
    write_files(out, "packages", &server.packages)?;
    if !server.environment.is_empty() {
        writeln!(out, "environment = {}", list(&server.environment))?;
    }
    if let Some(cwd) = &server.cwd {
        writeln!(out, "cwd = {}", quoted(&cwd.to_string_lossy()))?;
    }
    Ok(())
}

fn write_rest(
    out: &mut String,
    (name, server): (&ServerName, &PinnedServer),
    hints: &Hints,
) -> Result {
    if let Some(url) = &server.url {
        writeln!(out, "url = {}", quoted(url))?;
    }
    if let Some(transport) = server.transport {
        writeln!(out, "transport = \"{}\"", transport.as_str())?;
    }
    if !server.headers.is_empty() {
        writeln!(out, "headers = {}", list(&server.headers))?;
    }
    if let Some(issuer) = &server.issuer {
        writeln!(out, "issuer = \"{issuer}\"")?;
    }
    if let Some(instructions) = &server.instructions {
        writeln!(out, "instructions = \"{instructions}\"")?;
    }
    let has_program = server.command.is_some() || server.url.is_some();
    if has_program || server.offers_reviewed {
        writeln!(out, "offers_reviewed = {}", server.offers_reviewed)?;
    }
    for (tool, pinned) in &server.tools {
        writeln!(out, "\n[server.{name}.tool.{}]", quoted(tool.as_str()))?;
        let key = (name.clone(), tool.clone());
        warn(out, hints, (name, Offering::Tool, tool.as_str()))?;
        write_tool(out, pinned, hints.tools.get(&key).filter(|_| !pinned.reviewed))?;
    }
    for kind in [Offering::Prompt, Offering::Template] {
        for (offer, pin) in server.offers(kind).into_iter().flatten() {
            writeln!(out, "\n[server.{name}.{}.{}]", kind.as_str(), quoted(offer))?;
            warn(out, hints, (name, kind, offer))?;
            writeln!(out, "definition = \"{}\"", pin.definition)?;
            write_standing(out, pin)?;
        }
    }
    Ok(())
}

/// What speaks against something.
fn warn(
    out: &mut String,
    hints: &Hints,
    (server, kind, name): (&ServerName, Offering, &str),
) -> Result {
    match hints.warnings.get(&(server.clone(), kind, name.to_owned())) {
        Some(warning) => writeln!(out, "# {}", comment(warning)),
        None => Ok(()),
    }
}

fn write_files(out: &mut String, key: &str, files: &[PinnedFile]) -> Result {
    if files.is_empty() {
        return Ok(());
    }
    writeln!(out, "{key} = [")?;
    for PinnedFile { path, digest } in files {
        let path = quoted(&path.to_string_lossy());
        writeln!(out, "  {{ path = {path}, digest = \"{digest}\" }},")?;
    }
    writeln!(out, "]")
}

fn write_tool(out: &mut String, pinned: &PinnedTool, why: Option<&Proposal>) -> Result {
    let reasons = |out: &mut String, hints: fn(&Proposal) -> &[Hint], none: &str| -> Result {
        let Some(why) = why else { return Ok(()) };
        for Hint { value, reason } in hints(why) {
            writeln!(out, "# {}: {}", comment(value), comment(reason))?;
        }
        if hints(why).is_empty() {
            writeln!(out, "# {none}")?;
        }
        Ok(())
    };
    writeln!(out, "definition = \"{}\"", pinned.definition)?;
    reasons(out, |why| &why.effects, "nothing says what it does")?;
    let effects: Vec<_> = pinned.effects.iter().map(|effect| effect.as_str()).collect();
    writeln!(out, "effects = {}", list(&effects))?;
    if let Some(arguments) = &pinned.arguments {
        writeln!(out, "arguments = {}", quoted(&arguments.to_string()))?;
    }
    reasons(out, |why| &why.destinations, "no argument is called like a destination")?;
    writeln!(out, "destinations = {}", list(&pinned.destinations))?;
    reasons(out, |why| &why.payloads, "no argument is called like a payload")?;
    writeln!(out, "payloads = {}", list(&pinned.payloads))?;
    if let Some(output) = &pinned.output {
        reasons(out, |why| &why.output, "nothing says that others write it, or that it is secret")?;
        let output: Vec<_> = output.iter().map(|label| label.as_str()).collect();
        writeln!(out, "output = {}", list(&output))?;
    }
    if why.is_some() {
        writeln!(out, "# no wording says that it may: that is for a person to say")?;
    }
    writeln!(out, "may_leave = {}", pinned.may_leave)?;
    write_standing(out, &pinned.pin())
}

fn write_standing(out: &mut String, pin: &PinnedOffer) -> Result {
    if pin.held {
        writeln!(out, "held = true")?;
    }
    if let Some(accepted) = &pin.accepted {
        writeln!(out, "accepted = \"{accepted}\"")?;
    }
    if pin.returned > 0 {
        writeln!(out, "returned = {}", pin.returned)?;
    }
    writeln!(out, "reviewed = {}", pin.reviewed)
}

fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// Text as a basic string of TOML on one line, with everything escaped that a reviewer would not
/// see. Also fit to be a key.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if hidden(c).is_some() => {
                out.push_str(&format!("\\U{:08X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text as part of a comment: on one line.
fn comment(text: &str) -> String {
    tagout_inspect::characters::one_line(text)
}
