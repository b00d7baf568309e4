//! What each command does.
pub(crate) mod add;
mod approve;
mod approver;
pub(crate) mod audit;
mod check;
mod client;
mod compare;
mod consent;
mod doctor;
mod import;
mod key;
mod list;
mod models;
mod pin;
mod policy;
mod privacy;
mod run;
mod sandbox;
mod secret;
mod serve;
pub(crate) mod sessions;
pub(crate) mod tools;

use std::{future::Future, path::Path, process::ExitCode, sync::Arc, time::Duration};

use tagout_gateway::Gateway;
use tagout_host::{Options, Session};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::{
    chat,
    cli::{Cli, Command},
    failure::{Ended, Failure},
    places::Places,
    rules::RulesFrom,
    setup::Setup,
};

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    if matches!(cli.command, Command::Grid) {
        return in_runtime(run::grid());
    }
    let places = Places::find(cli.config.as_deref())?;
    match cli.command {
        Command::Ask(ask) => chat::ask(&places, &ask, cli.json),
        Command::Chat(talk) => chat::chat(&places, &talk, cli.json),
        Command::Run(run) => match run.http {
            None => run::run(&places),
            Some(address) => serve::serve(&places, address, cli.json),
        },
        Command::Grid => Ok(Ended::Done.into()),
        Command::Check => check::check(&places, cli.json),
        Command::Doctor => doctor::doctor(&places, cli.json),
        Command::Sandbox(command) => sandbox::sandbox(&places, &command),
        Command::Add(add) => add::add(&places, &add, cli.json),
        Command::List => list::list(&places, cli.json),
        Command::Tools(tools) => tools::tools(&places, tools, cli.json),
        Command::Models(models) => models::models(&places, &models, cli.json),
        Command::Compare(compare) => compare::compare(&places, &compare, cli.json),
        Command::Pin(pin) => pin::pin(&places, &pin, cli.json),
        Command::Client(client) => client::client(&places, &client, cli.json),
        Command::Import(import) => import::import(&places, &import, cli.json),
        Command::Key(key) => key::key(&places, &key, cli.json),
        Command::Secret(command) => secret::secret(&places, &command, cli.json),
        Command::Policy(policy) => policy::policy(&places, &policy, cli.json),
        Command::Sessions(command) => sessions::sessions(&places, &command, cli.json),
        Command::Consent(consent) => consent::consent(&places, &consent, cli.json),
        Command::Privacy(privacy) => privacy::privacy(&places, &privacy, cli.json),
        Command::Approve(approve) => approve::approve(&places, approve, cli.json),
        Command::Approver(approver) => approver::approver(&places, &approver, cli.json),
        Command::Audit(audit) => audit::audit(&places, &audit, cli.json),
    }
}

/// Runs a command that waits for others.
pub(crate) fn in_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // One client at a time: handing its calls from thread to thread costs more than it brings.
    // What may block has threads of its own.
    on_threads(1, work)
}

/// As [`in_runtime`], for many clients at a time.
fn on_threads<T>(
    threads: usize,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::io(Path::new("runtime"), error))?;
    let outcome = runtime.block_on(work);
    // A thread that still reads standard input must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Cancelled when this process is asked to end.
pub(crate) fn stop_on_signals() -> Result<CancellationToken, Failure> {
    stop_on(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
}

pub(crate) fn stop_on(kinds: &[SignalKind]) -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    for kind in kinds {
        let mut signals = signal(*kind).map_err(|e| Failure::io(Path::new("signals"), e))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}

/// As [`stop_on_signals`] for what has no terminal: a hangup asks it to read its rules again.
fn reload_on_hangup() -> Result<(CancellationToken, Arc<Notify>), Failure> {
    let stop = stop_on(&[SignalKind::interrupt(), SignalKind::terminate()])?;
    let mut hangups =
        signal(SignalKind::hangup()).map_err(|e| Failure::io(Path::new("signals"), e))?;
    let asked = Arc::new(Notify::new());
    let (asks, ends) = (Arc::clone(&asked), stop.clone());
    tokio::spawn(async move {
        while let Some(Some(())) = ends.run_until_cancelled(hangups.recv()).await {
            asks.notify_one();
        }
    });
    Ok((stop, asked))
}

/// Does `work` while the rules of `gateway` follow their files, also when `asked` tells.
async fn following<T>(
    (gateway, rules): (Arc<Gateway>, Arc<RulesFrom>),
    asked: Arc<Notify>,
    work: impl Future<Output = T>,
) -> T {
    let stop = CancellationToken::new();
    let looking = tokio::spawn(gateway.follow_rules(rules, asked, stop.clone()));
    let done = work.await;
    stop.cancel();
    // It ends between two looks. Waited for, since the audit log is closed with the gateway.
    if let Err(error) = looking.await {
        tracing::error!(%error, "rules were not followed to the end");
    }
    done
}

/// How long servers may take to start, downloads of their own among it.
pub(crate) const CONNECT: Duration = Duration::from_secs(120);

/// Bytes that may be on their way between host and gateway.
const DUPLEX: usize = 256 << 10;

/// Opens the gateway, connects a host to it over memory, and does `work` with that; then ends
/// whatever was started. It ends early when this process is asked to end.
async fn with_session<T, F>(
    places: &Places,
    options: impl FnOnce(CancellationToken) -> Options,
    work: F,
) -> Result<T, Failure>
where
    F: AsyncFnOnce(&mut Session) -> Result<T, Failure>,
{
    let stop = stop_on_signals()?;
    let options = options(stop.clone());
    with_gateway(places, options, stop, async |session, _| work(session).await).await
}

/// As [`with_session`], until `stop`; the gateway is at hand, too.
pub(crate) async fn with_gateway<T, F>(
    places: &Places,
    options: Options,
    stop: CancellationToken,
    work: F,
) -> Result<T, Failure>
where
    F: AsyncFnOnce(&mut Session, &Arc<Gateway>) -> Result<T, Failure>,
{
    let gateway = Setup::read(places)?.open(places)?;
    let (ours, theirs) = tokio::io::duplex(DUPLEX);
    let serving = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { gateway.serve(tokio::io::split(theirs), "memory", &stop).await }
    });
    let connected = Session::connect(ours, options).await;
    let outcome = match connected {
        Ok(mut session) => work(&mut session, &gateway).await,
        Err(error) => Err(Failure::of(&error, error.code(), "")),
    };
    // The session is gone, so the gateway sees its client's end; servers end with it.
    match serving.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the gateway's last words"),
        Err(error) => tracing::error!(%error, "the gateway failed"),
    }
    outcome
}
