//! Starts programs that inherit nothing, and ends all that they started.
//!
//! Three processes take part. The *gateway* calls [`spawn`]. The *jailer* is the gateway's own
//! binary, started again under another name; it knows nothing of the gateway and holds nothing but
//! one socket to it. The *program* is the jailer's child.
//!
//! ```text
//! gateway ──socket──▶ jailer ──child──▶ program ──▶ whatever it starts
//!    └────────── stdin, stdout, stderr ────▲
//! ```
//!
//! The socket carries the order (program, arguments, environment and the three pipes, so that no
//! secret stands in the jailer's arguments or environment), then the gateway's wish to stop or
//! kill, and in the other direction how the program ended. It is also the lifeline: when it closes,
//! for whatever reason and `kill -9` among them, the jailer ends the program.
//!
//! The program gets exactly the environment that its [`Profile`] names, descriptors 0, 1 and 2,
//! its own process group in a session without a terminal, default signal dispositions, a umask of
//! 077, and no way to gain privileges. The jailer adopts every orphan, so that a descendant which
//! left the group or the session is found and killed all the same.
//!
//! Where the profile has an [`Isolation`], the jailer makes namespaces of the program's own and hands
//! over to their *first* process, which makes them what they are: a root file system that holds
//! only what the program is given, a `/proc`, a loopback. It starts the program, which bounds
//! itself, gives up every privilege, and puts itself under Landlock and a filter of system calls
//! before it becomes what it is to be. The first process stays as the program's jailer and the
//! gateway's child; that which made it goes.
//!
//! ```text
//! gateway ──socket──▶ jailer ──makes──▶ first ──child──▶ program ──▶ whatever it starts
//!    └────────────socket─────────────────▲
//! ```
//!
//! Without one, the program sees the file system, the network and the other processes of its user,
//! and may kill its jailer: then it is itself killed by the kernel, but descendants that it orphaned
//! before are not. With one, it cannot, and the kernel ends all of its namespace with the first.
//!
//! All of this is for Linux, on x86_64 and aarch64. On other Unixes programs without an [`Isolation`]
//! are started, by the gateway itself, and none with one; see `elsewhere.rs`, which
//! `--cfg tagout_elsewhere` puts in the place of the rest, to try it out on Linux.
//!
//! A binary that spawns calls [`jail_if_asked`] first thing:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     if let Some(code) = tagout_sandbox::jail_if_asked() {
//!         return code;
//!     }
//!     // command line, runtime, threads …
//!     std::process::ExitCode::SUCCESS
//! }
//! ```

#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod child;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod danger;
#[cfg(not(all(target_os = "linux", not(tagout_elsewhere))))]
mod elsewhere;
mod error;
mod exit;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod handover;
mod isolation;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod jail;
mod jailer;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod message;
mod needs;
mod observe;
mod profile;
mod resolve;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod spawn;
mod survey;
mod way;

#[cfg(not(all(target_os = "linux", not(tagout_elsewhere))))]
use self::elsewhere as starts;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
use self::spawn as starts;

#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
pub use child::Child;
#[cfg(not(all(target_os = "linux", not(tagout_elsewhere))))]
pub use elsewhere::{Child, jail_if_asked};
pub use error::{SpawnError, Stage};
pub use exit::Exit;
pub use isolation::{Bounds, EGRESS_PORT, Isolation, Part, PrivateFile};
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
pub use jail::jail_if_asked;
pub use jailer::Jailer;
pub use needs::{is_interpreter, is_shared, own_files};
pub use observe::{Observed, Observer, Proposal, observe};
pub use profile::Profile;
pub use resolve::resolve;
pub use starts::spawn;
pub use survey::{Found, Survey, survey};
pub use way::{Way, way_of};
