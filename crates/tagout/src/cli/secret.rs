//! `tagout secret`.
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Keep a secret under a name, in place of one of that name. It is asked for on the terminal,
    /// and does not show; it never stands on a command line.
    Set(SecretSet),
    /// Every secret: its name, since when, and who uses it; never its value.
    Ls,
    /// Forget a secret.
    Rm {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SecretSet {
    /// The name: letters, digits, `.`, `-` and `_`.
    pub(crate) name: String,
    /// Read the secret from standard input, to its end; the last line end does not count.
    #[arg(long)]
    pub(crate) stdin: bool,
}
