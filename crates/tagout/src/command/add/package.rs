//! A command that fetches a package: which one exactly, and what is installed in its place.
use tagout_supply::{
    InstallError, Launch, Pending, Store, TrustRoot, Unfit, install, launch, newest,
};

use super::{
    shown::{ordered, shell},
    tools::Tools,
};
use crate::{
    cli::Add,
    clients::confirm::can_ask,
    failure::{Ended, Failure},
    output,
    places::Places,
};

/// What is installed for a command, if it is one that fetches a package; it goes again if it is not
/// kept.
pub(super) fn installed(places: &Places, add: &Add) -> Result<Option<Pending>, Failure> {
    let package = match launch(&add.command) {
        Ok(Launch::Local) => return Ok(None),
        Ok(Launch::Package(package)) => package,
        Err(unfit) => {
            // Nothing is asked of a registry for what nobody could say yes to.
            let ask = can_ask(add.yes).is_ok().then_some(places);
            return Err(refused(&unfit, ask, &ordered(add)));
        }
    };
    // Nothing is fetched for what nobody could say yes to.
    can_ask(add.yes)?;
    let tools = Tools::new();
    let root = TrustRoot::committed();
    let root = root.map_err(|error| Failure::of(&error, "supply-provenance", ""))?;
    let store = Store {
        folder: &places.packages,
        runner: &tools,
        root: &root,
        new_publisher: add.new_publisher,
    };
    output::aside(format_args!("installing {} {} …", package.name, package.version));
    install(&package, store).map(Some).map_err(|error| {
        let message = format!("{} {} is not installed: {error}", package.name, package.version);
        Failure::new(Ended::Refused, error.code(), message).with_help(help(&error))
    })
}

const fn help(error: &InstallError) -> &'static str {
    match error {
        InstallError::NoTool(_) => {
            "install it, or install the package yourself and name its program"
        }
        InstallError::Failed { .. } => "nothing was added; what it says last is above",
        InstallError::NoProgram(_) => {
            "name the program: `npx --package PACKAGE@VERSION PROGRAM`, `uvx --from …`"
        }
        InstallError::Integrity(_) | InstallError::Tree(_) | InstallError::Attestation(_) => {
            "nothing was added; if it stays so, tell whoever maintains the package"
        }
        InstallError::Unattested(_) => "nothing was added; try again when the registry answers",
        InstallError::Publisher { .. } => {
            "find out whether that is meant; then add it with `--new-publisher`"
        }
    }
}

/// Says why a command is not taken, and what would be, as far as the registry can be asked for that;
/// `front` is what was written before the command.
pub(crate) fn refused(unfit: &Unfit, ask: Option<&Places>, front: &str) -> Failure {
    let help = match (unfit, ask) {
        (Unfit::Unpinned(unpinned), ask) => {
            let asked = |places: &Places| newest(unpinned, &Tools::new(), &places.packages);
            let version = ask.and_then(asked);
            let line = |version: &str| {
                let words = unpinned.with_version(version);
                let words: Vec<_> = words.iter().map(|word| shell(word)).collect();
                format!("{front} -- {}", words.join(" "))
            };
            match version {
                Some(version) => format!("write: {}", line(&version)),
                None => format!("write, with a version that you have chosen: {}", line("VERSION")),
            }
        }
        (_, _) => unfit.help().to_owned(),
    };
    Failure::new(Ended::Refused, unfit.code(), unfit).with_help(&help)
}
