//! What an isolated program sees, and what it does not.
use tagout_sandbox::{Exit, Isolation, Profile};

use crate::bench::{all_of, profile, start};

fn isolated(script: &str) -> Profile {
    let mut profile = profile("/bin/sh", &["-c", script]);
    profile.env = [("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())].into();
    profile.isolation = Some(Isolation { system: true, ..Isolation::default() });
    profile
}

fn said(profile: &Profile) -> String {
    let mut child = start(profile);
    let text = all_of(child.stdout.take());
    let complaints = all_of(child.stderr.take());
    let exit = child.wait();
    assert_eq!(exit, Exit::Code(0), "{text}\n{complaints}");
    text
}

#[test]
fn it_sees_little() {
    let text = said(&isolated("id; pwd; ls -la /etc /dev /tmp; cat /proc/mounts; cat /proc/self/status; ls -l /proc/self/fd; env; hostname; cat /proc/net/dev; ps aux; ulimit -a"));
    println!("{text}");
}
