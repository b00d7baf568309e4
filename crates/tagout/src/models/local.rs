//! `local:FILE.gguf`: a model in a file, served by a `llama-server` that is started for it.
mod doorkeeper;
mod file;
mod server;
mod table;
mod tail;
mod tree;

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use tagout_gateway::lockfile::PinnedModel;
use tagout_llm::{
    ModelId, Provider, ProviderError, ProviderInfo, Row, Sink, TurnFuture, TurnRequest,
    providers::LOCAL,
};
use tagout_proto::Secret;
use tagout_wire::http::Vet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::file::ModelFile;
use self::server::Server;
use crate::{
    failure::{Ended, Failure},
    output,
    places::Places,
    setup::Setup,
};

/// The file that the model identifier `text` names, if it names one: `local:qwen3.gguf`,
/// `local:/models/qwen3.gguf`. Other names of `local` are those of a server that runs already.
pub(crate) fn named(text: &str) -> Option<&str> {
    let (provider, name) = text.split_once(':')?;
    let ends = Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    (provider == LOCAL && (ends || name.contains('/'))).then_some(name)
}

/// A model that is served from a file.
pub(super) struct Local {
    /// What it is called.
    pub(super) model: ModelId,
    /// How it is reached.
    pub(super) row: Row,
    /// What it wants to be shown with each request.
    pub(super) key: Secret<String>,
    server: Server,
    told: String,
}

impl Local {
    /// Serves the file called `name`, if it is what was pinned. Blocks until the model is loaded, or
    /// until it is to `stop`.
    pub(super) fn start(
        places: &Places,
        row: Row,
        name: &Path,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let file = ModelFile::open(name)?;
        let digest = is_pinned(places, &file, name, stop)?;
        let model = file.model().clone();
        let told = format!(
            "language model on this machine, from {} ({})",
            file.path().display(),
            digest.short()
        );
        let server = Server::start(places, &row, file, stop)?;
        let row = Row { url: server.url(), key: None, ..row };
        Ok(Self { model, row, key: server.key(), server, told })
    }

    /// Who looks at every connection to the server before anything is sent.
    pub(super) fn doorkeeper(&self) -> Arc<dyn Vet> {
        Arc::new(self.server.doorkeeper())
    }

    /// `inner`, which speaks with the server, together with the server: it ends with this.
    pub(super) fn with(self, inner: Arc<dyn Provider>) -> Served {
        let Self { model, server, told, .. } = self;
        Served { name: model.to_string(), told, inner, server }
    }
}

/// The digest of the file, if it is the one that was pinned.
fn is_pinned(
    places: &Places,
    file: &ModelFile,
    name: &Path,
    stop: &CancellationToken,
) -> Result<tagout_proto::Digest, Failure> {
    let shown = file.path().display();
    let help = format!("if it is what you want: tagout models pin {LOCAL}:{}", name.display());
    let lockfile = Setup::read_to_pin(places, true)?.lockfile;
    let Some(pinned) = lockfile.models.get(file.path()) else {
        let message = format!("`{shown}` is not pinned, so it is not known what it should be");
        return Err(Failure::new(Ended::Refused, "model-not-pinned", message).with_help(&help));
    };
    let changed = || {
        let message = format!("`{shown}` is not the file that was pinned");
        Failure::new(Ended::Refused, "model-changed", message).with_help(&help)
    };
    // Another length is another file; that is known at once.
    if pinned.bytes != file.bytes() {
        return Err(changed());
    }
    let found = measured(file, stop)?;
    if *pinned == found { Ok(found.digest) } else { Err(changed()) }
}

/// What there is to pin of a file. It is read to the end, each time: nothing else says what is in it.
pub(crate) fn measured(file: &ModelFile, stop: &CancellationToken) -> Result<PinnedModel, Failure> {
    let told = std::io::stderr().is_terminal() && file.bytes() >= SLOW;
    let mut percent = 101;
    let digest = file.digest(|read| {
        let now = read.saturating_mul(100) / file.bytes().max(1);
        let goes_on = !stop.is_cancelled();
        if told && goes_on && now != percent {
            percent = now;
            output::progress(format_args!("reading the model: {now} %"));
        }
        goes_on
    });
    if told && !stop.is_cancelled() {
        output::progress("");
    }
    Ok(PinnedModel { digest: digest?, bytes: file.bytes() })
}

/// Bytes that take a moment to read.
const SLOW: u64 = 256 << 20;

/// A model and the server that it is served by.
pub(super) struct Served {
    name: String,
    told: String,
    inner: Arc<dyn Provider>,
    server: Server,
}

impl Served {
    /// Nobody is asked in place of a server that has ended.
    fn is_there(&self) -> Result<(), ProviderError> {
        let unreachable =
            |detail| ProviderError::Unreachable { provider: LOCAL.to_owned(), detail };
        self.server.ended().map(unreachable).map_or(Ok(()), Err)
    }

    /// The error, or why the server is not there any more.
    fn why(&self, error: ProviderError) -> ProviderError {
        self.is_there().err().unwrap_or(error)
    }
}

impl Provider for Served {
    fn describe(&self) -> ProviderInfo {
        let (name, note) = (self.name.clone(), self.told.clone());
        ProviderInfo { name, language_model: true, note }
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        Box::pin(async move {
            self.is_there()?;
            self.inner.turn(request).await.map_err(|error| self.why(error))
        })
    }

    fn stream<'a>(&'a self, request: TurnRequest<'a>, sink: &'a mut dyn Sink) -> TurnFuture<'a> {
        Box::pin(async move {
            self.is_there()?;
            self.inner.stream(request, sink).await.map_err(|error| self.why(error))
        })
    }
}
