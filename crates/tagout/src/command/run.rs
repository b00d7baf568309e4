//! `run` and `grid`: servers on standard input and output.
use std::{io, process::ExitCode, sync::Arc};

use crate::{
    command::{following, in_runtime, stop_on_signals},
    failure::{Ended, Failure},
    places::Places,
    setup::Setup,
    streams,
};

/// Serves one MCP client in front of the configured servers.
pub(crate) fn run(places: &Places) -> Result<ExitCode, Failure> {
    let setup = Setup::read(places)?;
    let rules = Arc::clone(&setup.rules);
    let gateway = setup.open(places)?;
    in_runtime(async {
        let stop = stop_on_signals()?;
        let followed = (Arc::clone(&gateway), rules);
        let streams = streams::standard()?;
        // On a worker, where its calls are, and not on this thread.
        let serving = tokio::spawn(async move { gateway.serve(streams, "stdio", &stop).await });
        match following(followed, Arc::default(), serving).await {
            Ok(Ok(())) => Ok(Ended::Done.into()),
            // The client went away while it was being answered; all is on record.
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Done.into()),
            Ok(Err(error)) => Err(Failure::new(Ended::Failed, "file-unusable", error)),
            Err(error) => Err(Failure::new(Ended::Failed, "file-unusable", error)),
        }
    })
}

/// Runs the Grid Operations Assistant.
pub(crate) async fn grid() -> Result<ExitCode, Failure> {
    match tagout_grid::serve_stdio().await {
        Ok(()) => Ok(Ended::Done.into()),
        Err(error) => Err(Failure::of(&error, "server-unavailable", "")),
    }
}
