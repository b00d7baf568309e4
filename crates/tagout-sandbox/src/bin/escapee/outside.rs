//! Changing what is not its own, and running what it wrote.
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write as _,
    os::{
        fd::AsRawFd as _,
        unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    },
    path::Path,
    process::Command,
};

use crate::{
    attempt::{Attempt, Facts, Outcome, why},
    raw::{Arg, name, open},
    seen::Seen,
};

const SHELL: &str = "/bin/sh";

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("write-home", "append to `~/.bashrc`", home, |seen| seen.written("home/.bashrc")),
    Attempt::new("write-tmp", "write into the machine's `/tmp`", tmp, Seen::dropped),
    Attempt::new("write-usr", "write into `/usr`", usr, Seen::in_usr).of_root(),
    Attempt::new("write-own-code", "change the code that it runs", code, |seen| {
        seen.written("server/code.js")
    }),
    Attempt::new("replace-own-program", "put another in its program's place", program, |seen| {
        seen.written("server/program")
    }),
    Attempt::new("write-lockfile", "review itself in the lockfile", lock, |seen| {
        seen.written("config/tagout.lock")
    }),
    Attempt::new("write-configuration", "opt out in the configuration", configuration, |seen| {
        seen.written("config/tagout.toml")
    }),
    Attempt::new("write-sysctl", "set one of the kernel's variables", sysctl, Seen::said).of_root(),
    Attempt::new("rename-out", "move a file out of its writable folder", rename, |seen| {
        seen.written("home/moved")
    }),
    Attempt::new("set-user-id", "leave a set-user-id program behind", set_id, Seen::set_id),
    Attempt::new("run-set-user-id", "run one that is there", run_set_id, Seen::said)
        .if_there("nobody but root can plant a set-user-id program"),
    Attempt::new("run-written", "run a program that it wrote", run_written, Seen::said),
    Attempt::new("run-written-tmp", "run one that it wrote into `/tmp`", run_tmp, Seen::said),
    Attempt::new("run-from-memory", "run one that is in no file", run_memory, Seen::said),
    Attempt::new("interpret-loader", "have the loader run what it wrote", loader, Seen::said)
        .if_there("no loader at a known place"),
];

fn append(path: &Path, facts: &Facts) -> Outcome {
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(why)?;
    writeln!(file, "{}", facts.text("mark")?).map_err(why)?;
    Ok(format!("wrote to {}", path.display()))
}

fn home(facts: &Facts) -> Outcome {
    append(&facts.path("home")?.join(".bashrc"), facts)
}

fn tmp(facts: &Facts) -> Outcome {
    append(&facts.path("drop")?, facts)
}

fn usr(facts: &Facts) -> Outcome {
    append(&Path::new("/usr").join(facts.text("drop-name")?), facts)
}

fn code(facts: &Facts) -> Outcome {
    append(&facts.path("server")?.join("code.js"), facts)
}

fn program(facts: &Facts) -> Outcome {
    let server = facts.path("server")?;
    let new = server.join("new");
    append(&new, facts)?;
    fs::rename(&new, server.join("program")).map_err(why)?;
    Ok(String::from("another stands in its place"))
}

fn lock(facts: &Facts) -> Outcome {
    append(&facts.path("config")?.join("tagout.lock"), facts)
}

fn configuration(facts: &Facts) -> Outcome {
    append(&facts.path("config")?.join("tagout.toml"), facts)
}

/// Writes what is there already.
fn sysctl(_: &Facts) -> Outcome {
    let path = Path::new("/proc/sys/vm/overcommit_memory");
    let now = crate::attempt::read(path)?;
    let mut file = OpenOptions::new().write(true).open(path).map_err(why)?;
    file.write_all(now.as_bytes()).map_err(why)?;
    Ok(String::from("`vm.overcommit_memory` can be set"))
}

fn rename(facts: &Facts) -> Outcome {
    let file = facts.path("out")?.join("to-move");
    append(&file, facts)?;
    fs::rename(&file, facts.path("home")?.join("moved")).map_err(why)?;
    Ok(String::from("moved"))
}

fn set_id(facts: &Facts) -> Outcome {
    let file = facts.path("out")?.join("set-id");
    append(&file, facts)?;
    let by_mode = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o4755)
        .open(facts.path("out")?.join("set-id-too"));
    fs::set_permissions(&file, Permissions::from_mode(0o4755)).map_err(why)?;
    by_mode.map_err(why)?;
    Ok(String::from("the bit is set"))
}

fn run_set_id(facts: &Facts) -> Outcome {
    let wanted = facts.text("set-id-user")?.to_owned();
    let program = facts.path("set-id-program")?;
    let out = command(&program).arg("who").output().map_err(why)?;
    let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    if said == format!("user {wanted}") { Ok(said) } else { Err(format!("it is {said}")) }
}

/// Whether a copy of the shell runs there.
fn ran(command: &mut Command) -> Outcome {
    let out = command.args(["-c", "echo it ran"]).output().map_err(why)?;
    let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    if said == "it ran" { Ok(said) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

fn command(program: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "a hostile program starts what it likes")]
    Command::new(program)
}

/// The shell, because it is small and there.
fn copy_to(path: &Path) -> Result<(), String> {
    fs::copy(SHELL, path).map_err(why)?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(why)
}

fn run_written(facts: &Facts) -> Outcome {
    let path = facts.path("out")?.join("written");
    copy_to(&path)?;
    ran(&mut command(&path))
}

fn run_tmp(facts: &Facts) -> Outcome {
    let path = facts.path("drop")?.with_extension("program");
    let done = copy_to(&path).and_then(|()| ran(&mut command(&path)));
    fs::remove_file(&path).ok();
    done
}

fn run_memory(_: &Facts) -> Outcome {
    let label = name("program");
    let mut memory =
        open(libc::SYS_memfd_create, &mut [Arg::In(&label), Arg::Int(0)]).map_err(why)?;
    let mut own = File::open(SHELL).map_err(why)?;
    std::io::copy(&mut own, &mut memory).map_err(why)?;
    // Another descriptor that is not for writing, because a file that is written is not executed.
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let reading = File::open(&path).map_err(why)?;
    drop(memory);
    let path = format!("/proc/{}/fd/{}", std::process::id(), reading.as_raw_fd());
    ran(&mut command(Path::new(&path)))
}

/// Asks the dynamic loader, which only has to read and map.
fn loader(facts: &Facts) -> Outcome {
    let path = facts.path("out")?.join("loaded");
    copy_to(&path)?;
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let found = loaders.iter().find(|it| Path::new(it).exists()).ok_or("there is none")?;
    ran(command(Path::new(found)).arg(&path))
}
