//! A gateway, and programs to start, for this crate's tests.
#![expect(clippy::print_stdout, reason = "a probe prints what it sees")]
#![expect(clippy::disallowed_methods, reason = "a probe starts processes and reads small files")]
use std::{
    error::Error,
    fs,
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use tagout_sandbox::{
    Exit, Isolation, Jailer, Part, PrivateFile, Profile, jail_if_asked, spawn, survey,
};

type Done = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    if let Some(code) = jail_if_asked() {
        return code;
    }
    let mut args = std::env::args().skip(1);
    let role = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match role.as_str() {
        "report" => report(),
        "length" => length(&rest),
        "gateway" => gateway(&rest),
        "escape" => escape(&rest),
        "leave-session" => leave_session(),
        "linger" => linger(),
        "many" => many(),
        "isolated" => isolated(&rest),
        "survey" => survey_machine(),
        "as-user" => as_user(&rest),
        "cost" => cost(),
        _ => Err("no such role".into()),
    };
    done.unwrap_or_else(|e| {
        println!("probe: {e}");
        ExitCode::FAILURE
    })
}

/// What a program can see of itself.
fn report() -> Done {
    for (name, value) in std::env::vars_os() {
        println!("env {}={}", name.display(), value.display());
    }
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // The descriptor that reads this directory is gone before it can be asked for.
        let target = fs::read_link(entry.path())?;
        println!("fd {} {}", entry.file_name().display(), target.display());
    }
    println!("cwd {}", std::env::current_dir()?.display());
    println!("parent {}", std::os::unix::process::parent_id());
    println!("group {}", rustix::process::getpgrp().as_raw_nonzero());
    println!("session {}", rustix::process::getsid(None)?.as_raw_nonzero());
    println!("terminal {}", fs::File::open("/dev/tty").is_ok());
    println!("{}", fs::read_to_string("/proc/self/status")?);
    Ok(ExitCode::SUCCESS)
}

fn length(args: &[String]) -> Done {
    println!("{}", args.iter().map(String::len).sum::<usize>());
    Ok(ExitCode::SUCCESS)
}

/// Starts a program through this same binary, and passes on what it prints for ever.
fn gateway(command: &[String]) -> Done {
    let (program, args) = command.split_first().ok_or("no program")?;
    let mut profile = Profile::new(program);
    profile.args = args.iter().map(Into::into).collect();
    let mut child = spawn(&profile, &Jailer::this_program())?;
    println!("program {}", child.pid());
    let mut stdout = fs::File::from(child.stdout.take().ok_or("no stdout")?);
    io::copy(&mut stdout, &mut io::stdout())?;
    stay()
}

/// Starts a program through this same binary, isolated as the words before `--` say, passes on what
/// it writes, and exits as it does.
fn isolated(words: &[String]) -> Done {
    let mut parts = words.splitn(2, |word| word == "--");
    let (settings, command) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (program, args) = command.split_first().ok_or("no program")?;
    let mut profile = Profile::new(program);
    profile.args = args.iter().map(Into::into).collect();
    profile.env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    let mut isolation = Isolation { system: true, ..Isolation::default() };
    let mut say_pid = false;
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let part = || Part::of_name(value).ok_or("no such part");
        match key {
            "read" => drop(isolation.read.insert(value.into())),
            "write" => drop(isolation.write.insert(value.into())),
            "hide" => drop(isolation.hide.insert(value.into())),
            "empty" => drop(isolation.empty.insert(value.into())),
            "unlinked" => drop(isolation.unlinked.insert(value.into())),
            "cwd" => profile.cwd = Some(value.into()),
            "egress" => isolation.egress = true,
            "say-pid" => say_pid = true,
            "memory" => isolation.bounds.memory = value.parse()?,
            "processes" => isolation.bounds.processes = value.parse()?,
            "off" => drop(isolation.off.insert(part()?)),
            "accept" => drop(isolation.accepted.insert(part()?)),
            "secret" => {
                let content = PrivateFile::new(b"hunter2".to_vec());
                isolation.files.insert(value.into(), content);
            }
            "only" => {
                isolation.off = Part::ALL.into_iter().filter(|p| p.as_str() != value).collect()
            }
            _ => return Err(format!("no such setting: {setting}").into()),
        }
    }
    profile.isolation = Some(isolation);
    let mut child = spawn(&profile, &Jailer::this_program())?;
    if say_pid {
        println!("program {}", child.pid());
    }
    drop(child.stdin.take());
    let mut complaints = fs::File::from(child.stderr.take().ok_or("no stderr")?);
    let complaining = thread::spawn(move || io::copy(&mut complaints, &mut io::stderr()));
    let mut stdout = fs::File::from(child.stdout.take().ok_or("no stdout")?);
    io::copy(&mut stdout, &mut io::stdout())?;
    complaining.join().map_err(|_| "a thread panicked")??;
    Ok(match child.wait() {
        Exit::Code(code) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        exit @ (Exit::Signal(_) | Exit::Memory | Exit::Lost) => {
            println!("{exit}");
            ExitCode::from(200)
        }
    })
}

/// How long a start takes until the program runs, bare and isolated, in microseconds.
fn cost() -> Done {
    for isolation in [None, Some(Isolation { system: true, ..Isolation::default() })] {
        let mut profile = Profile::new("/bin/cat");
        profile.isolation = isolation;
        let mut took = Vec::new();
        for _ in 0..50 {
            let begun = std::time::Instant::now();
            let child = spawn(&profile, &Jailer::this_program())?;
            took.push(begun.elapsed().as_micros());
            child.kill();
            if child.wait() != Exit::Signal(9) {
                return Err("it ended in another way".into());
            }
        }
        took.sort_unstable();
        let isolated = profile.isolation.is_some();
        println!("isolated {isolated}: median {:?}, most {:?}", took.get(25), took.last());
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes on as a user who is nobody special.
fn as_user(rest: &[String]) -> Done {
    let (user, group) =
        (rustix::process::Uid::from_raw(65534), rustix::process::Gid::from_raw(65534));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    Err(Command::new(std::env::current_exe()?).args(rest).exec().into())
}

fn survey_machine() -> Done {
    for (part, found) in survey(&Jailer::this_program())?.parts {
        println!("{part}: {found:?}");
    }
    Ok(ExitCode::SUCCESS)
}

fn stay() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Starts a process that leaves group, session and parent; then stays, or exits when told to.
fn escape(how: &[String]) -> Done {
    Command::new(std::env::current_exe()?).arg("leave-session").spawn()?;
    if how.first().is_some_and(|how| how == "stay") {
        stay();
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::from(3))
}

fn leave_session() -> Done {
    rustix::process::setsid()?;
    Command::new(std::env::current_exe()?).arg("linger").spawn()?;
    Ok(ExitCode::SUCCESS)
}

fn linger() -> Done {
    rustix::process::setsid()?;
    println!("escaped {}", std::process::id());
    stay()
}

/// Starts programs that end in every way, and says what they left behind in this process.
fn many() -> Done {
    let before = open_descriptors()?;
    let mut threads = Vec::new();
    for round in 0..50 {
        let mut profile = Profile::new("/bin/sh");
        let script = if round % 2 == 0 { "exit 0" } else { "cat" };
        profile.args = vec!["-c".into(), script.into()];
        let child = spawn(&profile, &Jailer::this_program())?;
        match round % 5 {
            0 => drop(child),
            1 => child.kill(),
            2 => threads.push(thread::spawn(move || {
                child.stop();
                child.wait()
            })),
            3 => {
                child.stop();
                println!("{}", child.wait());
            }
            _ => println!("{:?}", spawn(&Profile::new("/nowhere"), &Jailer::this_program()).err()),
        }
    }
    for waiting in threads {
        waiting.join().map_err(|_| "a waiting thread panicked")?;
    }
    let mut left = Vec::new();
    for _ in 0..200 {
        left = children()?;
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    println!("children left: {left:?}");
    println!("descriptors more: {}", open_descriptors()?.abs_diff(before));
    Ok(ExitCode::SUCCESS)
}

fn open_descriptors() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// Zombies included.
fn children() -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let list = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        all.extend(list.split_ascii_whitespace().map(str::to_owned));
    }
    Ok(all)
}
