//! `approve` and `approver` as they are written.
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Approve {
    /// Questions that wait for people: what, for whom, and who has answered.
    Ls {
        /// What was approved for more than one call and still holds, in their place.
        #[arg(long)]
        grants: bool,
    },
    /// One question, whole.
    Show {
        /// The question.
        id: String,
    },
    /// Let the call be made. Asks for a passphrase on the terminal.
    Allow(AnswerAllow),
    /// Let it not be made. Asks for a passphrase on the terminal.
    Deny(AnswerDeny),
    /// Take back what was approved for more than one call.
    Revoke {
        /// The question that it was the answer to; see `tagout approve ls --grants`.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AnswerAllow {
    /// For how much: this call; the same call again in this conversation; or always, which is for
    /// tools that are reviewed as reading and nothing else.
    #[arg(long, default_value = "once")]
    pub(crate) scope: Scope,
    #[command(flatten)]
    pub(crate) answer: AnswerDeny,
}

#[derive(Debug, Args)]
pub(crate) struct AnswerDeny {
    /// The question.
    pub(crate) id: String,
    /// A word to whoever asked; the client is told it with a no.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,
    /// Who answers, where several keys are there.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Scope {
    /// This call.
    Once,
    /// The same call again in this conversation, for some time.
    Conversation,
    /// The same call again, until it is taken back.
    Always,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Approver {
    /// Enrol somebody who may answer questions: make a key under a passphrase, which is typed on
    /// the terminal. The first enrols itself; each further one is enrolled by one who is.
    Add(ApproverAdd),
    /// Everybody who was enrolled, and whether their word counts.
    List,
    /// Let somebody's word count no more. It cannot be taken back: whoever is revoked is enrolled
    /// anew under another name.
    Revoke {
        /// The name.
        name: String,
        /// Do not ask on the terminal.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ApproverAdd {
    /// The name that records show.
    pub(crate) name: String,
    /// Whose word it is, as policy knows users; nobody is another person than oneself [default: the
    /// user of this process].
    #[arg(short, long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// A group that this person approves for.
    #[arg(short, long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// Let the webhook bring this person's word, too.
    #[arg(long)]
    pub(crate) webhook: bool,
    /// Who enrols, where several keys are there.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}
