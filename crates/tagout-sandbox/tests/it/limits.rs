//! How much an isolated program can take, how it gets out, and how all of it ends.
use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tagout_sandbox::{Bounds, Exit, Isolation, Part, Profile};

use crate::{
    bench::{all_of, eventually, field, is_gone, lines, pid, profile, start},
    isolation::Yard,
};

fn isolated(program: &str, args: &[&str]) -> Profile {
    let mut profile = profile(program, args);
    profile.env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    profile.isolation = Some(Isolation { system: true, ..Isolation::default() });
    profile
}

fn shell(script: &str) -> Profile {
    isolated("/bin/sh", &["-c", script])
}

/// Whether this machine can isolate; otherwise it says that a test was skipped.
fn able() -> bool {
    Yard::new().is_some()
}

/// Says how many it started, then waits.
const FORKS: &str = "i=0; while [ $i -lt 400 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null";

#[test]
fn processes_are_counted() {
    let Some(yard) = Yard::new() else { return };
    for user in Yard::users() {
        for settings in [&["processes=40"][..], &["processes=40", "off=process-limits"]] {
            let script = format!("({FORKS}); ls -d /proc/[0-9]* | wc -l");
            let ran = yard.sh(user, settings, &script);
            // The shell gives up when it may start no more.
            let complaints = ran.complained.to_lowercase();
            let full = complaints.contains("fork") || ran.exit != Exit::Code(0);
            assert!(full, "{user} {}: {}", ran.said, ran.complained);
        }
    }
}

#[test]
fn memory_of_all_processes_is_bounded() {
    let Some(yard) = Yard::new() else { return };
    let Some(python) = python() else { return };
    let one =
        "a=[]\nfor i in range(60):\n a.append(bytearray(b'x')*(10<<20))\n print(i, flush=True)";
    let many = "import os, time\nfor i in range(8):\n if os.fork() == 0:\n  \
                b = bytearray(b'x')*(30<<20); time.sleep(20)\ntime.sleep(20)";
    let file = "import os, time\nf = os.memfd_create('m')\nfor i in range(60):\n \
                os.write(f, b'x'*(10<<20)); time.sleep(0.02)\ntime.sleep(20)";
    for user in Yard::users() {
        // The filter has no files in memory at all.
        for (script, off) in [(one, "off=seccomp"), (many, "egress"), (file, "off=seccomp")] {
            let ran = yard.run(user, &["memory=104857600", off], &[python, "-c", script]);
            assert_eq!(ran.exit, Exit::Code(200), "{script}: {} {}", ran.said, ran.complained);
            let said = ran.said.lines().last();
            assert_eq!(said, Some("took more memory than `memory_mb` allows"), "{script}");
        }
        let within = "b = bytearray(b'x')*(40<<20); import time; time.sleep(0.3); print('fine')";
        let ran = yard.run(user, &["memory=104857600"], &[python, "-c", within]);
        assert_eq!(ran.said, "fine\n", "{}", ran.complained);
    }
}

fn python() -> Option<&'static str> {
    let found = std::path::Path::new("/usr/bin/python3").exists();
    if !found {
        println!("skipped: no `/usr/bin/python3`");
    }
    found.then_some("/usr/bin/python3")
}

#[test]
fn files_descriptors_and_scratch_are_bounded() {
    if !able() {
        return;
    }
    let script = "ulimit -n; ulimit -f; ulimit -c; ulimit -t; \
                  head -c 3000000 /dev/zero > /tmp/a; stat -c %s /tmp/a; \
                  head -c 600000 /dev/zero > /tmp/b; head -c 600000 /dev/zero > /tmp/c; \
                  stat -c %s /tmp/b /tmp/c; ulimit -n 200 || echo refused";
    let mut profile = shell(script);
    let bounds = Bounds {
        file: 1 << 20,
        open_files: 100,
        tmp: 2 << 20,
        cpu: Some(Duration::from_secs(7)),
        ..Bounds::default()
    };
    profile.isolation.as_mut().unwrap().bounds = bounds;
    let mut child = start(&profile);
    let said = all_of(child.stdout.take());
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said[..5], ["100", "2048", "0", "7", "1048576"], "{said:?}");
    let sizes: u64 = said[5..7].iter().map(|size| size.parse::<u64>().unwrap()).sum();
    assert!(sizes <= 1 << 20, "{said:?}");
    assert_eq!(said[7..], ["refused"]);
}

#[test]
fn the_way_out_is_a_listener_that_the_caller_gets() {
    let (true, Some(python)) = (able(), python()) else { return };
    let script = "import socket\ndef tried(*to):\n try:\n  \
                  s = socket.create_connection(to, timeout=5); s.sendall(b'hello')\n  \
                  return s.recv(5)\n except OSError as e:\n  return type(e).__name__\n\
                  l = socket.create_server(('127.0.0.1', 8080))\n\
                  print(tried('127.0.0.1', 3128), tried('127.0.0.1', 8080), \
                  tried('192.0.2.1', 80), tried('127.0.0.1', OUTSIDE))";
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let mut profile = isolated(python, &["-c", &script.replace("OUTSIDE", &port)]);
    profile.isolation.as_mut().unwrap().egress = true;
    let mut child = start(&profile);
    let listener = TcpListener::from(child.egress.take().unwrap());
    let (mut inside, _) = listener.accept().unwrap();
    let mut said = [0; 5];
    inside.read_exact(&mut said).unwrap();
    inside.write_all(&said).unwrap();
    let told = all_of(child.stdout.take());
    let refused = "PermissionError PermissionError PermissionError\n";
    assert_eq!(told, format!("b'hello' {refused}"), "{}", all_of(child.stderr.take()));

    let mut without = isolated(python, &["-c", "print(1)"]);
    without.isolation.as_mut().unwrap().off = [Part::LandlockNetwork].into();
    assert!(start(&without).egress.is_none());
}

/// A program with a descendant that has left group, session and parent; both print who they are.
fn escaping() -> (tagout_sandbox::Child, Pid) {
    let script = "setsid sh -c 'sleep 3600' & sleep 3600 & echo ready; wait";
    let mut child = start(&shell(script));
    assert_eq!(lines(child.stdout.take().unwrap()).next().unwrap(), "ready");
    let first = pid(&child.jailer().to_string());
    assert_ne!(child.jailer(), child.pid());
    (child, first)
}

/// The processes of the PID namespace of `child`'s program, as they are seen from here.
fn inmates(child: &tagout_sandbox::Child) -> Vec<Pid> {
    let own = std::fs::read_link(format!("/proc/{}/ns/pid", child.pid())).unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter(|p| std::fs::read_link(p.path().join("ns/pid")).is_ok_and(|ns| ns == own));
    all.map(|process| pid(process.file_name().to_str().unwrap())).collect()
}

#[test]
fn it_ends_whole_however_it_ends() {
    if !able() {
        return;
    }
    type End = fn(tagout_sandbox::Child) -> Option<Exit>;
    let ways: [(&str, End, Option<Exit>); 4] = [
        (
            "dropped",
            |child| {
                drop(child);
                None
            },
            None,
        ),
        (
            "killed",
            |child| {
                child.kill();
                Some(child.wait())
            },
            Some(Exit::Signal(9)),
        ),
        (
            "stopped",
            |child| {
                child.stop();
                Some(child.wait())
            },
            Some(Exit::Signal(15)),
        ),
        (
            "its jailer is killed",
            |child| {
                kill_process(pid(&child.jailer().to_string()), Signal::KILL).unwrap();
                Some(child.wait())
            },
            Some(Exit::Lost),
        ),
    ];
    for (how, end, expected) in ways {
        let (child, jailer) = escaping();
        let mut inmates = inmates(&child);
        assert!(inmates.len() >= 3, "{how}: {inmates:?}");
        // It hides from its own user.
        inmates.push(jailer);
        assert_eq!(end(child), expected, "{how}");
        for process in inmates {
            eventually(how, || is_gone(process));
        }
    }
}

#[test]
fn a_gateway_that_is_killed_takes_an_isolated_program_along() {
    let Some(yard) = Yard::new() else { return };
    for user in Yard::users() {
        let script = "setsid sleep 3600 & echo ready; wait";
        let mut gateway = start(&yard.gateway(user, &["say-pid="], &["/bin/sh", "-c", script]));
        let mut said = lines(gateway.stdout.take().unwrap());
        let program = pid(field(&said.next().unwrap(), "program"));
        assert_eq!(said.next().unwrap(), "ready");
        let status = std::fs::read(format!("/proc/{program}/status")).unwrap();
        let first = pid(field(&String::from_utf8(status).unwrap(), "PPid:"));
        let outer = pid(&gateway.pid().to_string());
        let keeper = pid(&gateway.jailer().to_string());
        kill_process(keeper, Signal::STOP).unwrap();
        kill_process(outer, Signal::KILL).unwrap();
        for (name, process) in [("program", program), ("first", first)] {
            eventually(name, || is_gone(process));
        }
        kill_process(keeper, Signal::CONT).unwrap();
        assert_eq!(gateway.wait(), Exit::Signal(9));
    }
}

#[test]
fn its_own_end_is_told() {
    if !able() {
        return;
    }
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 42", Exit::Code(42)),
        ("kill -9 $$", Exit::Signal(9)),
        ("sleep 100 & exit 3", Exit::Code(3)),
        ("kill -TERM 1; kill -KILL 1; exit 7", Exit::Code(7)),
    ] {
        assert_eq!(start(&shell(script)).wait(), exit, "{script}");
    }
}

#[test]
fn a_part_that_is_missing_must_be_accepted() {
    let Some(yard) = Yard::new() else { return };
    let probe = yard.path("probe");
    if !std::path::Path::new("/usr/bin/unshare").exists() {
        println!("skipped: no `/usr/bin/unshare`");
        return;
    }
    // A namespace in which no further user namespace can be made.
    let within = |map: &str, settings: &str| {
        let script = format!(
            "echo 0 > /proc/sys/user/max_user_namespaces && exec {map} {probe} isolated {settings} \
             -- /bin/sh -c 'echo ran; ls /sys /home | wc -l'"
        );
        let mut child = start(&profile("/usr/bin/unshare", &["-r", "/bin/sh", "-c", &script]));
        let said = all_of(child.stdout.take());
        assert_ne!(child.wait(), Exit::Lost);
        said
    };
    let lacks = within("", "");
    assert!(lacks.starts_with("probe: this machine lacks `user-namespace` (No space"), "{lacks}");
    let other = within("", "accept=seccomp");
    assert_eq!(other, lacks, "only what is accepted is done without");
    let ran = within("", "accept=user-namespace");
    assert_eq!(ran, "ran\n0\n", "the others are there");
}

#[test]
fn each_part_can_be_left_out_to_see_what_it_is_good_for() {
    let Some(yard) = Yard::new() else { return };
    for user in Yard::users() {
        for part in Part::ALL {
            let off = format!("off={part}");
            let ran = yard.sh(user, &[&off], "echo ran");
            assert_eq!(ran.said, "ran\n", "{user} without {part}: {}", ran.complained);
            let only = format!("only={part}");
            let ran = yard.sh(user, &[&only], "echo ran");
            assert_eq!(ran.said, "ran\n", "{user} with only {part}: {}", ran.complained);
        }
    }
}
