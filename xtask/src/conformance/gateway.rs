//! The gateway between the suite and the test server.
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::programs::{Programs, Running};
use crate::tree::command;

/// It accepts connections within this.
const START: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(50);

/// Everything is let through: what is tested is how, not whether.
const POLICY: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

/// A gateway that runs until this is dropped, and what adds its key to every request: the suite
/// cannot.
pub(super) struct Gateway {
    pub(super) url: String,
    _adder: Running,
    _gateway: Running,
}

impl Gateway {
    /// Starts one in front of `upstream`, with all that it keeps in `folder`.
    pub(super) fn start(
        programs: &Programs,
        folder: &Path,
        upstream: &str,
    ) -> Result<Self, String> {
        prepare(folder, upstream)?;
        let tagout = |arguments: &[&str]| {
            let mut run = command(&programs.tagout);
            run.arg("--config").arg(folder.join("tagout.toml")).args(arguments);
            home(&mut run, folder);
            run
        };
        say(tagout(&["pin"]))?;
        say(tagout(&["pin", "--accept", "fixture"]))?;
        let key = say(tagout(&["key", "add", "conformance"]))?;
        let address = free_port()?;
        let run = tagout(&["run", "--http", &address.to_string()]);
        let mut gateway = Running::start(run, &folder.join("gateway.log"))?;
        wait_for(address, &mut gateway, folder)?;
        let mut adder = command(&programs.add_header);
        adder.args(["--listen", "127.0.0.1:0", "--to", &address.to_string()]);
        adder.env("ADD_HEADER", format!("Authorization: Bearer {}", key.trim()));
        let (adder, url) = Running::start_and_read(adder, &folder.join("add-header.log"))?;
        Ok(Self { url: format!("{url}/mcp"), _adder: adder, _gateway: gateway })
    }
}

/// A fresh folder with a configuration and rules.
fn prepare(folder: &Path, upstream: &str) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder.join("policies")).map_err(failed)?;
    fs::write(folder.join("policies/all.cedar"), POLICY).map_err(failed)?;
    // The suite knows the tools by their own names.
    let config = format!(
        "profile = \"none\"\npolicies = \"policies\"\n\n\
         [consent]\nagreed = [\"fixture\"]\n\n[server.fixture]\nurl = \"{upstream}\"\nprefix = \"\"\n"
    );
    fs::write(folder.join("tagout.toml"), config).map_err(failed)
}

/// Nothing of this machine's own configuration and state.
fn home(run: &mut Command, folder: &Path) {
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
        run.env(variable, folder.join(variable.to_lowercase()));
    }
}

/// What a command prints.
fn say(mut run: Command) -> Result<String, String> {
    let said = |run: &Command| {
        let words = run.get_args().map(|word| word.to_string_lossy().into_owned());
        format!("tagout {}", words.collect::<Vec<_>>().join(" "))
    };
    let out = run.output().map_err(|error| format!("{}: {error}", said(&run)))?;
    if !out.status.success() {
        return Err(format!("{}: {}", said(&run), String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A port that nobody listened on a moment ago.
fn free_port() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

fn wait_for(address: SocketAddr, gateway: &mut Running, folder: &Path) -> Result<(), String> {
    let end = Instant::now() + START;
    while TcpStream::connect_timeout(&address, TICK).is_err() {
        if gateway.has_ended() || Instant::now() > end {
            let log = folder.join("gateway.log");
            return Err(format!("the gateway does not listen; see {}", log.display()));
        }
        thread::sleep(TICK);
    }
    Ok(())
}
