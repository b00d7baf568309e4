//! The MCP clients on this machine: where each keeps its servers, and what an entry looks like.
pub(crate) mod backup;
pub(crate) mod confirm;
pub(crate) mod edit;
pub(crate) mod file;
mod jsonc;
mod layout;
mod lines;
pub(crate) mod preview;
pub(crate) mod tree;
mod yaml;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::failure::Failure;
use edit::Place;
use tree::{Format, Tree};

/// What Tagout is called in every client.
const NAME: &str = "tagout";

/// A client that Tagout can be written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    ClaudeDesktop,
    ClaudeCode,
    #[value(name = "vscode")]
    VsCode,
    Cursor,
    Codex,
    Goose,
    Gemini,
    Zed,
}

/// How a client reaches Tagout.
#[derive(Clone, Debug)]
pub(crate) enum Launch {
    /// It starts this program.
    Program { command: String, args: Vec<String> },
    /// It calls a URL, with a key that it finds in a variable of its environment.
    Http { url: String, key: Option<String> },
}

impl Client {
    /// As it is written on the command line.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::VsCode => "vscode",
            Self::Cursor => "cursor",
            Self::Codex => "codex",
            Self::Goose => "goose",
            Self::Gemini => "gemini",
            Self::Zed => "zed",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::VsCode => "VS Code",
            Self::Cursor => "Cursor",
            Self::Codex => "Codex",
            Self::Goose => "goose",
            Self::Gemini => "Gemini CLI",
            Self::Zed => "Zed",
        }
    }

    /// Where in its file the entry stands.
    pub(crate) const fn place(self) -> Place {
        let (format, section) = match self {
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor | Self::Gemini => {
                (Format::Jsonc, "mcpServers")
            }
            Self::VsCode => (Format::Jsonc, "servers"),
            Self::Zed => (Format::Jsonc, "context_servers"),
            Self::Codex => (Format::Toml, "mcp_servers"),
            Self::Goose => (Format::Yaml, "extensions"),
        };
        Place { format, section, name: NAME }
    }

    /// Its file for this user, as its documentation has it for Linux and macOS.
    pub(crate) fn file(self, homes: &Homes) -> PathBuf {
        match self {
            Self::ClaudeDesktop => homes.application.join("Claude/claude_desktop_config.json"),
            Self::ClaudeCode => homes.home.join(".claude.json"),
            Self::VsCode => homes.application.join("Code/User/mcp.json"),
            Self::Cursor => homes.home.join(".cursor/mcp.json"),
            Self::Codex => homes.codex.join("config.toml"),
            Self::Goose => homes.config.join("goose/config.yaml"),
            Self::Gemini => homes.home.join(".gemini/settings.json"),
            Self::Zed => homes.config.join("zed/settings.json"),
        }
    }

    /// What is written into its file.
    pub(crate) fn entry(self, launch: &Launch) -> Result<Tree, Failure> {
        match launch {
            Launch::Program { command, args } => Ok(self.program(command, args)),
            Launch::Http { url, key } => self.http(url, key.as_deref()),
        }
    }

    fn program(self, command: &str, args: &[String]) -> Tree {
        let (command, text) = (Tree::from_text(command), Tree::from_text);
        let args = Tree::List(args.iter().map(Tree::from_text).collect());
        match self {
            Self::ClaudeDesktop | Self::Cursor | Self::Codex | Self::Gemini | Self::Zed => {
                Tree::map([("command", command), ("args", args)])
            }
            Self::ClaudeCode | Self::VsCode => {
                Tree::map([("type", text("stdio")), ("command", command), ("args", args)])
            }
            Self::Goose => Tree::map([
                ("enabled", Tree::Bool(true)),
                ("type", text("stdio")),
                ("name", text(NAME)),
                ("description", text("Lockout/tagout for AI agents")),
                ("cmd", command),
                ("args", args),
                ("envs", Tree::empty()),
                ("timeout", Tree::Number("300".to_owned())),
            ]),
        }
    }

    fn http(self, url: &str, key: Option<&str>) -> Result<Tree, Failure> {
        let (url, text) = (Tree::from_text(url), Tree::from_text);
        // As each of them writes a variable of its environment.
        let bearer = |variable: String| {
            Tree::map([("Authorization", Tree::from_text(format!("Bearer {variable}")))])
        };
        let mut entry = match self {
            Self::ClaudeDesktop => return Err(self.no_http()),
            Self::ClaudeCode | Self::VsCode => vec![("type", text("http")), ("url", url)],
            Self::Cursor | Self::Zed | Self::Codex => vec![("url", url)],
            Self::Gemini => vec![("httpUrl", url)],
            Self::Goose => vec![
                ("enabled", Tree::Bool(true)),
                ("type", text("streamable_http")),
                ("name", text(NAME)),
                ("description", text("Lockout/tagout for AI agents")),
                ("uri", url),
                ("timeout", Tree::Number("300".to_owned())),
            ],
        };
        if let Some(key) = key {
            entry.push(match self {
                Self::ClaudeCode | Self::Gemini => ("headers", bearer(format!("${{{key}}}"))),
                Self::VsCode | Self::Cursor => ("headers", bearer(format!("${{env:{key}}}"))),
                Self::Codex => ("bearer_token_env_var", text(key)),
                Self::ClaudeDesktop | Self::Goose | Self::Zed => return Err(self.no_reference()),
            });
        }
        let entry = entry.into_iter().map(|(key, value)| (key.to_owned(), value));
        Ok(Tree::Map(entry.collect()))
    }

    fn no_http(self) -> Failure {
        let message = format!("the file of {} takes programs only", self.title());
        Failure::usage("client-http", message, "leave out `--http`, and it starts Tagout itself")
    }

    fn no_reference(self) -> Failure {
        let title = self.title();
        let message = format!("the file of {title} has no way to name a key that stands elsewhere");
        let help = "leave out `--http`, and it starts Tagout itself, without a key; Tagout writes no \
                    key into a file";
        Failure::usage("client-http", message, help)
    }
}

/// The folders that clients keep their files in.
#[derive(Clone, Debug)]
pub(crate) struct Homes {
    pub(crate) home: PathBuf,
    /// `$XDG_CONFIG_HOME`, or `~/.config`; on macOS too, for those who use it there.
    pub(crate) config: PathBuf,
    /// Where desktop programs keep theirs.
    application: PathBuf,
    codex: PathBuf,
}

impl Homes {
    pub(crate) fn find() -> Result<Self, Failure> {
        let set = |variable| std::env::var_os(variable).map(PathBuf::from);
        let absolute = |variable| set(variable).filter(|path| path.is_absolute());
        let Some(home) = absolute("HOME") else {
            let message = "there is no home directory";
            return Err(Failure::usage("home-unknown", message, "set `HOME`, or name the file"));
        };
        let config = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let application = if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            config.clone()
        };
        let codex = absolute("CODEX_HOME").unwrap_or_else(|| home.join(".codex"));
        Ok(Self { home, config, application, codex })
    }
}
