//! What a program sees of the machine's own software, and what is made up for it.

/// What there is of it, and why. What a machine does not have is left out.
pub(crate) const SOFTWARE: &[&str] = &[
    // Programs, libraries, and their data. All of it is for everybody to read.
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    // Software that is not there, on NixOS and Guix.
    "/nix/store",
    "/gnu/store",
    // Where the dynamic linker finds libraries.
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    // Which of several programs or libraries of one name is meant.
    "/etc/alternatives",
    // Whom to believe who a server of the network is; `/etc/ssl` has the keys of this machine too.
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/etc/gnutls",
    // What time it is here.
    "/etc/localtime",
    "/etc/timezone",
    // Names of what is everywhere the same.
    "/etc/mime.types",
    "/etc/protocols",
    "/etc/services",
    "/etc/magic",
    // Which system this is.
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/lsb-release",
    // How languages' installations are set up.
    "/etc/python",
    "/etc/python3",
    "/etc/python3.9",
    "/etc/python3.10",
    "/etc/python3.11",
    "/etc/python3.12",
    "/etc/python3.13",
    "/etc/python3.14",
    "/etc/java",
    "/etc/java-8-openjdk",
    "/etc/java-11-openjdk",
    "/etc/java-17-openjdk",
    "/etc/java-21-openjdk",
    "/etc/java-25-openjdk",
    "/etc/perl",
    "/etc/php",
    "/etc/fonts",
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
];

/// Devices that everybody has, and that hold nothing.
pub(super) const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Other names of what a process has open.
pub(super) const OPEN: &[(&str, &str)] = &[
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];

/// What of `/proc` is about the machine and not about processes, and is no program's business. Much
/// else is for the host's superuser only, whom no program runs as. What runtimes ask for stays: how
/// many processors there are, how much memory, how long the machine is up.
pub(super) const MASKED: &[&str] = &[
    "proc/acpi",
    "proc/asound",
    "proc/buddyinfo",
    "proc/bus",
    "proc/cmdline",
    "proc/config.gz",
    "proc/consoles",
    "proc/crypto",
    "proc/devices",
    "proc/diskstats",
    "proc/dma",
    "proc/driver",
    "proc/dynamic_debug",
    "proc/execdomains",
    "proc/fb",
    "proc/fs",
    "proc/interrupts",
    "proc/iomem",
    "proc/ioports",
    "proc/irq",
    "proc/kallsyms",
    "proc/kcore",
    "proc/keys",
    "proc/key-users",
    "proc/kmsg",
    "proc/kpagecgroup",
    "proc/kpagecount",
    "proc/kpageflags",
    "proc/latency_stats",
    "proc/locks",
    "proc/mdstat",
    "proc/misc",
    "proc/modules",
    "proc/mtrr",
    "proc/pagetypeinfo",
    "proc/partitions",
    "proc/sched_debug",
    "proc/schedstat",
    "proc/scsi",
    "proc/slabinfo",
    "proc/softirqs",
    "proc/swaps",
    // The same until the machine starts again.
    "proc/sys/kernel/random/boot_id",
    "proc/sysrq-trigger",
    "proc/timer_list",
    "proc/tty",
    // Who built the kernel, and with what.
    "proc/version",
    "proc/version_signature",
    "proc/vmallocinfo",
    "proc/zoneinfo",
];

/// Files with no content of the machine's, for the user and the group of that number.
pub(crate) fn made_up(user: u32, group: u32) -> [(&'static str, String); 7] {
    let nobody = if user == 65534 { "" } else { "nobody:x:65534:65534:nobody:/:/bin/false\n" };
    let no_group = if group == 65534 { "" } else { "nogroup:x:65534:\n" };
    [
        ("etc/passwd", format!("server:x:{user}:{group}:server:/tmp:/bin/sh\n{nobody}")),
        ("etc/group", format!("server:x:{group}:\n{no_group}")),
        ("etc/hosts", String::from("127.0.0.1 localhost\n::1 localhost\n127.0.0.1 sandbox\n")),
        ("etc/hostname", format!("{HOST_NAME}\n")),
        ("etc/nsswitch.conf", String::from("passwd: files\ngroup: files\nhosts: files\n")),
        ("etc/resolv.conf", String::new()),
        ("etc/shells", String::from("/bin/sh\n")),
    ]
}

/// The name of the machine that a program sees.
pub(super) const HOST_NAME: &str = "sandbox";
