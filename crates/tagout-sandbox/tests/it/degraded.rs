//! What a program that does without a part of its isolation still does not get.
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use crate::{
    bench::{all_of, profile, start},
    isolation::Yard,
};

/// Takes the system call that puts filters in place from a process and all that it starts.
const WITHOUT_FILTERS: &str = "import ctypes, os, struct, sys, platform\n\
    number = {'x86_64': 317, 'aarch64': 277}[platform.machine()]\n\
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x00050026), (6, 0, 0, 0x7fff0000)]\n\
    text = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))\n\
    program = struct.pack('HxxxxxxP', len(code), ctypes.addressof(text))\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    assert libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()\n\
    os.execv(sys.argv[1], sys.argv[1:])";

#[test]
fn without_a_filter_no_program_of_the_superusers_is_left_behind() {
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/python3").exists() {
        println!("skipped: this is for the superuser, with `/usr/bin/python3`");
        return;
    }
    let Some(yard) = Yard::new() else { return };
    let folder = yard.folder("out");
    let script = format!("echo ran; cp /bin/true {folder}/t; chmod 6755 {folder}/t");
    let write = format!("write={folder}");
    let within = |accepted: &[&str]| {
        let probe = yard.path("probe");
        let args = [&["-c", WITHOUT_FILTERS, &probe, "isolated", &write], accepted].concat();
        let args = [&args[..], &["--", "/bin/sh", "-c", &script]].concat();
        all_of(start(&profile("/usr/bin/python3", &args)).stdout.take())
    };
    let refused = within(&[]);
    assert!(refused.starts_with("probe: this machine lacks `seccomp`"), "{refused}");
    assert_eq!(within(&["accept=seccomp"]), "ran\n");
    for left in fs::read_dir(&folder).unwrap() {
        let left = left.unwrap().metadata().unwrap();
        let (mode, owner) = (left.permissions().mode() & 0o6000, (left.uid(), left.gid()));
        assert!(mode == 0 || owner.0 != 0 && owner.1 != 0, "{mode:o} {owner:?}");
    }
}

#[test]
fn without_mounts_nothing_that_needs_them_is_started() {
    let Some(yard) = Yard::new() else { return };
    if !Path::new("/usr/bin/unshare").exists() {
        println!("skipped: no `/usr/bin/unshare`");
        return;
    }
    let folder = yard.folder("given");
    yard.folder("given/deep");
    let key = yard.file("given/deep/key", "hunter2");
    yard.file("beside", "beside");
    let (read, probe) = (format!("read={folder}"), yard.path("probe"));
    // A namespace in which no further mount namespace can be made.
    let within = |settings: &[&str]| {
        let script = "echo 0 > /proc/sys/user/max_mnt_namespaces && exec \"$@\"";
        let around = ["-r", "/bin/sh", "-c", script, "-", &probe, "isolated", &read];
        let run = ["--", "/bin/sh", "-c", "echo ran; cat \"$0\"", &key];
        let args = [&around[..], settings, &run].concat();
        all_of(start(&profile("/usr/bin/unshare", &args)).stdout.take())
    };
    let accepted = "accept=mount-namespace";
    let lacks = "probe: this machine lacks `mount-namespace`";
    let hide = |path: &str| format!("hide={}", yard.path(path));
    let [below, there, later] = ["given/deep/key", "given", "given/deep/later"].map(hide);
    for settings in [
        &[][..],
        &[accepted, "secret=token"],
        &[accepted, &below],
        &[accepted, &there],
        &[accepted, &hide("beside"), "accept=landlock-files", "off=landlock-files"],
    ] {
        let said = within(settings);
        // Where it is started after all, what it must not see was not given.
        let kept = said.starts_with(lacks) || said == "ran\n";
        assert!(kept, "{settings:?}: {said}");
    }
    for elsewhere in [hide("beside"), later] {
        let said = within(&[accepted, &elsewhere]);
        assert_eq!(said, "ran\nhunter2", "what it is not to see lies elsewhere");
    }
}

/// Makes a namespace in which this superuser is one, with many users, and without mount namespaces.
const WITHOUT_MOUNTS: &str = "import ctypes, os, sys\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    (ready, told), (go, tell) = os.pipe(), os.pipe()\n\
    child = os.fork()\n\
    if child == 0:\n \
     assert libc.unshare(0x10000000) == 0\n \
     os.write(told, b'x'); os.read(go, 1)\n \
     open('/proc/sys/user/max_mnt_namespaces', 'w').write('0')\n \
     os.execv(sys.argv[1], sys.argv[1:])\n\
    os.read(ready, 1)\n\
    for kind in 'uid', 'gid':\n open(f'/proc/{child}/{kind}_map', 'w').write('0 0 4000000000')\n\
    os.write(tell, b'x'); os.waitpid(child, 0)";

#[test]
fn without_mounts_a_superusers_program_runs_to_its_end() {
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/python3").exists() {
        println!("skipped: this is for the superuser, with `/usr/bin/python3`");
        return;
    }
    let Some(yard) = Yard::new() else { return };
    let (folder, probe) = (yard.folder("given"), yard.path("probe"));
    let read = format!("read={folder}");
    let run = ["--", "/bin/sh", "-c", "sleep 0.7; echo went on"];
    let args = ["-c", WITHOUT_MOUNTS, &probe, "isolated", &read, "accept=mount-namespace"];
    let args = [&args[..], &run].concat();
    let said = all_of(start(&profile("/usr/bin/python3", &args)).stdout.take());
    assert_eq!(said, "went on\n");
}
