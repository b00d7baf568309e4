//! What a person decides on, in full and with nothing hidden.
use serde::{Deserialize, Serialize};
use tagout_inspect::characters::{made_visible, one_line};
use tagout_policy::Effects;
use tagout_proto::{Digest, Kind, Value, quoted};
use tagout_store::Scope;

/// What a person decides on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// On whose behalf.
    pub user: String,
    /// What the client calls itself.
    pub client: String,
    /// The server.
    pub server: String,
    /// The tool, resource or prompt, as the server calls it.
    pub subject: String,
    /// What it may do.
    pub effects: Effects,
    /// Whether a person has reviewed that.
    pub reviewed: bool,
    /// What else the review says of it, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The rule that asks, and why.
    pub rule: String,
    /// Why it asks.
    pub reason: String,
    /// Whose approval it takes, in words.
    pub demand: String,
    /// All the arguments, in full, with nothing hidden.
    pub arguments: String,
    /// What else the server gets; empty if there is nothing.
    pub beside: String,
    /// What names just this request in it; empty if there is nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub traced: String,
    /// What the client says about the call, a line each; nobody here knows whether it is true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// How the arguments differ from those of the last call that was approved; empty if there was
    /// none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub changes: String,
    /// What the approval binds to.
    pub digest: Digest,
    /// The question's name, where others can answer it, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<(String, String)>,
    /// For how much an approval may be meant beside this one call.
    #[serde(skip)]
    pub scopes: Vec<Scope>,
    /// The tool as clients know it; empty where it is about none.
    #[serde(skip)]
    pub tool: String,
    /// What a person types to approve this card, and no other: drawn at random, because whoever
    /// makes the call can make calls whose digests are alike.
    #[serde(skip)]
    pub code: String,
}

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let effects: Vec<_> = self.effects.iter().map(|effect| effect.as_str()).collect();
        let reviewed = if self.reviewed { "reviewed" } else { "NOT reviewed by anyone" };
        writeln!(f, "\n== Tagout: a call waits for you =====================================")?;
        writeln!(f, "   tool       {} on server {}", one_line(&self.subject), self.server)?;
        writeln!(f, "   may        {} ({reviewed})", effects.join(", "))?;
        if !self.labels.is_empty() {
            writeln!(f, "   review     {}", one_line(&self.labels.join("; ")))?;
        }
        writeln!(f, "   for        {}, through {}", one_line(&self.user), one_line(&self.client))?;
        writeln!(f, "   asked by   {}: {}", one_line(&self.rule), one_line(&self.reason))?;
        if let Some((id, until)) = &self.question {
            writeln!(f, "   needs      {}", one_line(&self.demand))?;
            writeln!(f, "   question   {}, open until {}", one_line(id), one_line(until))?;
        }
        writeln!(f, "   digest     {}", self.digest)?;
        writeln!(f, "   arguments")?;
        for line in self.arguments.lines() {
            writeln!(f, "     {line}")?;
        }
        if !self.beside.is_empty() || !self.traced.is_empty() {
            writeln!(f, "   also sent")?;
            for line in self.beside.lines().chain(self.traced.lines()) {
                writeln!(f, "     {line}")?;
            }
        }
        if !self.changes.is_empty() {
            writeln!(f, "   since the last approved call of it")?;
            for line in self.changes.lines() {
                writeln!(f, "     {line}")?;
            }
        }
        if !self.told.is_empty() {
            writeln!(f, "   the client says (nobody here has looked whether it is so)")?;
            for line in &self.told {
                writeln!(f, "     {}", one_line(line))?;
            }
        }
        writeln!(f, "======================================================================")?;
        // Long arguments scroll the top away.
        let bytes = self.arguments.len() + self.beside.len() + self.traced.len();
        let subject = one_line(&self.subject);
        let effects = effects.join(", ");
        write!(
            f,
            "{subject} on {} may {effects}; {bytes} bytes above go to the server",
            self.server
        )
    }
}

impl Card {
    /// Whether both show the same call, of which the same is said: what differs may be when and
    /// where it was asked.
    #[must_use]
    pub fn shows_the_same(&self, other: &Self) -> bool {
        self.is_of_the_same_call(other) && self.told == other.told
    }

    /// Whether both show the same call, whatever its client says of it.
    #[must_use]
    pub fn is_of_the_same_call(&self, other: &Self) -> bool {
        self.effects == other.effects
            && self.reviewed == other.reviewed
            && self.labels == other.labels
            && self.user == other.user
            && self.server == other.server
            && self.subject == other.subject
            && self.arguments == other.arguments
            && self.beside == other.beside
            && self.rule == other.rule
    }

    /// The card as the message of a form: its frame and its typed code are a terminal's.
    #[must_use]
    pub fn for_a_form(&self) -> String {
        let text = self.to_string();
        let lines = text.trim().lines().filter(|line| !line.starts_with("=="));
        let body: Vec<_> = lines.collect();
        format!("Tagout: a call waits for your approval.\n{}", body.join("\n"))
    }
}

/// Arguments for a person: indented, in full, numbers as they were written, and nothing hidden.
#[must_use]
pub fn readable(value: Value<'_>) -> String {
    let mut out = String::new();
    indent(value, 0, &mut out);
    out
}

fn indent(value: Value<'_>, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    };
    match value.kind() {
        Kind::Object if value.members().next().is_some() => {
            out.push('{');
            for (n, (key, member)) in value.members().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                out.push_str(&made_visible(&quoted(&key)).0);
                out.push_str(": ");
                indent(member, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
        Kind::Array if value.elements().next().is_some() => {
            out.push('[');
            for (n, element) in value.elements().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                indent(element, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Kind::String | Kind::Escaped => {
            out.push_str(&made_visible(&quoted(&value.text().unwrap_or_default())).0);
        }
        Kind::Object => out.push_str("{}"),
        Kind::Array => out.push_str("[]"),
        Kind::Number | Kind::True | Kind::False | Kind::Null => out.push_str(value.raw()),
    }
}
