//! The command line.
mod approve;
mod chat;
mod models;
mod policy;
mod sandbox;
mod secret;
mod sessions;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::{
    approve::{AnswerDeny, Approve, Approver, ApproverAdd, Scope},
    chat::{Ask, Chat, How, Output},
    models::{Compare, Models},
    policy::{Policy, ProfileName},
    sandbox::{Sandbox, SandboxRun},
    secret::{SecretCommand, SecretSet},
    sessions::{SessionFormat, SessionsCommand, SessionsExport},
};

/// Lockout/tagout for AI agents: no tool call gets through unless identity, inspection, policy
/// and, where it is dangerous, a person have cleared it.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// The configuration file [default: `tagout/tagout.toml` under `$XDG_CONFIG_HOME`].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused, 4 needs a person's approval.
Without a configuration file the built-in Grid Operations Assistant is there.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask the assistant a question; its tool calls go through the gateway.
    Ask(Ask),
    /// Talk with the assistant at this terminal; its tool calls go through the gateway.
    Chat(Chat),
    /// Serve MCP clients in front of the configured servers: one on standard input and output, or
    /// any number over HTTP.
    Run(Run),
    /// The Grid Operations Assistant, an MCP server on standard input and output.
    Grid,
    /// Check configuration, policies and lockfile, and say what holds.
    Check,
    /// Say what this machine has to isolate servers with, and what each server gets.
    Doctor,
    /// Run a program as isolated as a server is.
    #[command(subcommand)]
    Sandbox(Sandbox),
    /// Show what a server is, ask, and add it to the configuration:
    /// `tagout add files -- npx PACKAGE@VERSION /data`. Packages are installed, checked.
    Add(Add),
    /// List the configured servers.
    List,
    /// List, show and call tools.
    #[command(subcommand)]
    Tools(Tools),
    /// List models, and try whether one works.
    #[command(subcommand)]
    Models(Models),
    /// Ask several models the same: answers, calls, time, tokens and cost.
    Compare(Compare),
    /// Write what servers are and offer into the lockfile, for review.
    Pin(Pin),
    /// Make, list and revoke the keys of clients that call over HTTP.
    #[command(subcommand)]
    Key(Key),
    /// Keep secrets for servers, sealed: the configuration refers to them by `secret://NAME`.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Write Tagout into the files of MCP clients on this machine, and take it out again.
    #[command(subcommand)]
    Client(Client),
    /// Add the servers of another program's configuration file to this one; start none.
    Import(Import),
    /// Check, test, try out, explain and learn rules.
    #[command(subcommand)]
    Policy(Policy),
    /// List, show, export and remove what was said to the assistant.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// List, give and revoke consent: which servers and models may get what somebody sends.
    #[command(subcommand)]
    Consent(Consent),
    /// Give out, or erase, what is held of somebody.
    #[command(subcommand)]
    Privacy(Privacy),
    /// See and answer the questions that wait for people.
    #[command(subcommand)]
    Approve(Approve),
    /// Enrol, list and revoke people who may answer them.
    #[command(subcommand)]
    Approver(Approver),
    /// Read and verify the audit log.
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Consent {
    /// Every consent: whose data may go where, since when, and on which record.
    Ls,
    /// Agree that one's own data goes to a server, as it is now.
    Give(ConsentTo),
    /// Take a consent back; from the next call on it is asked again.
    Revoke(ConsentTo),
}

#[derive(Debug, Args)]
pub(crate) struct ConsentTo {
    /// The server, by its name in the configuration; or the model, as PROVIDER:NAME.
    pub(crate) name: String,
    /// It is a model.
    #[arg(long)]
    pub(crate) model: bool,
    /// For whoever presents the key of this name over HTTP, in place of oneself.
    #[arg(long = "for", value_name = "USER")]
    pub(crate) user: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Privacy {
    /// Print all that is held of somebody, as one JSON document.
    Export(Whose),
    /// Erase what somebody sent and agreed to; the audit log stays valid.
    Erase {
        #[command(flatten)]
        whose: Whose,
        /// Go ahead without asking.
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The user: of this machine, or the name of a key.
    pub(crate) principal: String,
    /// How the user is known, where that is not clear: `os-user`, `api-key`.
    #[arg(long, value_name = "HOW")]
    pub(crate) authenticated_by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Serve over HTTP, at this address or at `http.listen` of the configuration; clients show a
    /// key of `tagout key add`.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1)]
    pub(crate) http: Option<Option<SocketAddr>>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The server's name; its tools are called NAME__TOOL.
    pub(crate) name: String,
    /// A variable for its environment, which is empty otherwise.
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// A variable that it gets as the gateway has it, such as PATH.
    #[arg(long, value_name = "NAME")]
    pub(crate) pass_env: Vec<String>,
    /// Its working directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// A file or a folder that it may read beside its own.
    #[arg(long, value_name = "PATH")]
    pub(crate) read: Vec<PathBuf>,
    /// A folder that it may read and change.
    #[arg(long, value_name = "PATH")]
    pub(crate) write: Vec<PathBuf>,
    /// Where it may connect to.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) reach: Vec<String>,
    /// Minisign's public key, or its file: the program, or its code, must be signed by it.
    #[arg(long, value_name = "KEY")]
    pub(crate) minisign: Option<String>,
    /// The signature, where it is not beside the file as `FILE.minisig`.
    #[arg(long, value_name = "FILE", requires = "minisign")]
    pub(crate) signature: Option<PathBuf>,
    /// Accept that a package is from somebody else than what was installed of it before.
    #[arg(long)]
    pub(crate) new_publisher: bool,
    /// Go ahead without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// The program and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// Every tool, what it may do and what policy says.
    Ls,
    /// One tool's definition and standing.
    Inspect {
        /// The tool, as `server__tool`.
        name: String,
    },
    /// Call a tool through the gateway.
    Call {
        /// The tool, as `server__tool`.
        name: String,
        /// The arguments: one JSON object, or NAME=VALUE each (VALUE as JSON, or else as text).
        arguments: Vec<String>,
        /// Go on with the conversation of that name, so that what was approved in it after a call
        /// had ended is used. Without it each call is a conversation of its own.
        #[arg(long, value_name = "NAME")]
        conversation: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Count a tool, prompt or template, or all of a server's, as looked at: tools with the effects
    /// that are proposed or written in the lockfile. Ends its quarantine.
    #[arg(long, value_name = "SERVER[/NAME]")]
    pub(crate) accept: Vec<String>,
    /// Write nothing; fail if the lockfile is not what it would be, or not signed as it should be.
    #[arg(long, conflicts_with_all = ["accept", "sign"])]
    pub(crate) check: bool,
    /// Show how each definition differs from what is pinned. Without `--accept`, write nothing.
    #[arg(long)]
    pub(crate) diff: bool,
    /// Sign the lockfile with a secret key of minisign, whose passphrase is asked for on the
    /// terminal. Without `--accept`, sign it as it stands, and start no server.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) sign: Option<PathBuf>,
    /// Make a key that signs lockfiles, and do nothing else.
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub(crate) new_signing_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key and print it, once.
    Add(KeyAdd),
    /// Every key: whose it is, until when, and when it was used last; never the key itself.
    List,
    /// Let a key in no more.
    Revoke {
        /// The key's name, or its identifier.
        #[arg(value_name = "NAME|ID")]
        which: String,
    },
    /// The public key by which servers verify who calls, as a JSON Web Key Set.
    Assertion,
}

#[derive(Debug, Args)]
pub(crate) struct KeyAdd {
    /// The key's name; policy knows whoever presents it as this user.
    pub(crate) name: String,
    /// A group of that user.
    #[arg(short, long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// How long it is good: `30d`, `12h`, `8w`, or a day, until its end in UTC.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Show the change, ask, and write Tagout into a client's file.
    Connect(ClientConnect),
    /// Give the file back as it was; if it was changed since, take out only Tagout.
    Disconnect(ClientDisconnect),
    /// Every client that Tagout knows, and whether it is connected.
    List,
}

#[derive(Debug, Args)]
pub(crate) struct ClientConnect {
    /// The client.
    pub(crate) name: crate::clients::Client,
    /// Its file, where that is not the usual one.
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Let it call this URL of `tagout run --http`, in place of starting Tagout itself.
    #[arg(long, value_name = "URL")]
    pub(crate) http: Option<String>,
    /// Where the client finds its key: `env:NAME`. A key itself is not written into files.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
    /// Go ahead without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClientDisconnect {
    /// The client.
    pub(crate) name: crate::clients::Client,
    /// Its file, where that is not the usual one.
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Go ahead without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file: of Claude, VS Code, Cursor, Windsurf, Cline, Gemini, Codex, goose, Zed, opencode,
    /// LibreChat, Docker or ToolHive.
    pub(crate) file: PathBuf,
    /// Only this server, as the file calls it.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Go ahead without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// The last records.
    Tail {
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
        lines: usize,
    },
    /// One record, whole.
    Show {
        /// Its number.
        number: u64,
    },
    /// What led to a record, back to somebody's question, and all that came of it.
    Trace {
        /// Its number: of a call, or of what was said.
        number: u64,
    },
    /// Find a changed, removed, reordered or cut record.
    Verify,
}
