//! What a program learns of the machine, and what is said of a machine that lacks a part.
use std::path::Path;

use tagout_sandbox::Part;

use crate::{
    bench::{all_of, profile, start},
    isolation::Yard,
};

/// What of `/proc` runtimes ask for, beside what is about processes.
const LEFT: [&str; 9] = [
    "/proc/cgroups",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/stat",
    "/proc/uptime",
    "/proc/vmstat",
];

#[test]
fn of_the_machine_it_sees_what_runtimes_ask_for() {
    let Some(yard) = Yard::new() else { return };
    let script = "for f in /proc/[a-z]* /proc/sys/kernel/random/boot_id; do \
                  test -f $f && head -c 1 $f 2>/dev/null | grep -q . && echo $f; done; \
                  ls /proc/bus /proc/fs /proc/irq /proc/tty /proc/driver 2>/dev/null | grep -v :";
    for user in Yard::users() {
        let ran = yard.sh(user, &[], script);
        let seen: Vec<&str> = ran.said.lines().filter(|line| !line.is_empty()).collect();
        let more: Vec<_> = seen.iter().filter(|path| !LEFT.contains(path)).collect();
        assert!(more.is_empty() && seen.contains(&"/proc/meminfo"), "{more:?} {seen:?}");
    }
}

#[test]
fn a_missing_part_is_told_alone_and_with_its_number() {
    let Some(yard) = Yard::new() else { return };
    if !Path::new("/usr/bin/unshare").exists() {
        println!("skipped: no `/usr/bin/unshare`");
        return;
    }
    let kinds = [
        (Part::Mounts, "mnt"),
        (Part::Processes, "pid"),
        (Part::Ipc, "ipc"),
        (Part::HostName, "uts"),
        (Part::Network, "net"),
    ];
    for (lacking, kind) in kinds {
        let number = format!("/proc/sys/user/max_{kind}_namespaces");
        let script = format!("echo 0 > {number} && exec {} survey", yard.path("probe"));
        let args = ["-r", "/bin/sh", "-c", &script];
        let said = all_of(start(&profile("/usr/bin/unshare", &args)).stdout.take());
        for (part, _) in kinds {
            let line = said.lines().find(|line| line.starts_with(&format!("{part}: ")));
            let line = line.unwrap_or_else(|| panic!("{part}: {said}"));
            let is_told = line.contains("Missing") && line.contains(&number);
            assert_eq!(is_told, part == lacking, "{kind}: {line}");
            assert_eq!(line.contains("Missing"), part == lacking, "{kind}: {line}");
        }
    }
}
