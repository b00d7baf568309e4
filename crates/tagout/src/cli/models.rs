//! `models` and `compare`.
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// The providers, whether their keys are there, and the models of the catalogue; or the models
    /// that one provider has for its key, which it is asked for.
    Ls {
        /// The provider.
        provider: Option<String>,
    },
    /// Ask a model to call a tool that does nothing: does its key work, does it call tools, what
    /// does that cost.
    Check {
        /// The model.
        #[arg(value_name = "PROVIDER:MODEL")]
        model: String,
        /// How long it may take, in seconds: 1 to 86400 [default: 600, and 120 without a language
        /// model].
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: Option<u64>,
    },
    /// Write the digest of a model's file into the lockfile: only what is pinned is served.
    Pin {
        /// The file, in the GGUF format, relative to the current folder.
        #[arg(value_name = "local:FILE.gguf")]
        model: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The question.
    pub(crate) question: String,
    /// A model; twice or more.
    #[arg(long, value_name = "PROVIDER:MODEL", required = true)]
    pub(crate) model: Vec<String>,
}
