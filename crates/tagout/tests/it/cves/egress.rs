//! Where a server's requests go, whatever it was made to ask for.
use std::{fs, io::Write as _, net::ToSocketAddrs as _};

use serde_json::Value;

use super::{
    listener::Listener,
    shell::{does, place},
};
use crate::place::{Place, each};

/// Loopback's address of version 4, in the ways that some readers take.
const SPELLINGS: [&str; 13] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0.0.0.0",
    "0",
    "localhost",
    "localhost.",
    "[::1]",
    "[::ffff:127.0.0.1]",
];
/// The address of a cloud's metadata, likewise, and others that stand for it.
const METADATA: [&str; 9] = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "169.254.169.254.",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[fd00:ec2::254]",
    "169.254.170.2",
    "168.63.129.16",
];

fn inner() -> Listener {
    let body = "HTTP/1.1 200 x\r\nContent-Length: 5\r\nConnection: close\r\n\r\ninner";
    Listener::new(move |_| body.to_owned())
}

/// A server that may reach what `reach` says.
fn reaching(reach: &str) -> Place {
    place(&format!("[server.m.sandbox]\nreach = [{reach}]\n"))
}

#[track_caller]
fn denied(place: &Place, hosts: &[&str], port: u16) {
    for host in hosts {
        for way in [format!("through http://{host}:{port}/latest"), format!("tunnel {host}:{port}")]
        {
            let said = does(place, &way);
            let refused = ["HTTP/1.1 400", "HTTP/1.1 403"];
            assert!(refused.iter().any(|status| said.starts_with(status)), "{way}: {said}");
        }
    }
}

fn events(place: &Place, event: &str) -> Vec<Value> {
    let records = each(&place.done(&["--json", "audit", "tail", "-n", "1000"]));
    records.into_iter().filter(|record| record["event"]["event"] == event).collect()
}

/// A tool of Azure's server fetched an address of the caller's choice, with its own identity: that
/// of the machine's metadata too.
#[test]
fn cve_2026_26118_metadata_is_never_reached() {
    let place = reaching("\"api.example.com:443\", \"api.example.com:80\"");
    denied(&place, &METADATA, 80);
    // Nor straight, past the way out.
    for host in ["169.254.169.254", "1.1.1.1"] {
        let said = does(&place, &format!("echo x > /dev/tcp/{host}/80"));
        assert!(!said.ends_with("[0]"), "{host}: {said}");
    }
    assert!(!events(&place, "egress-denied").is_empty());
    assert_eq!(events(&place, "egress"), Vec::<Value>::new());
}

/// A server that fetches pages did not look where a name or an address really leads.
#[test]
fn cve_2025_65512_no_spelling_of_loopback_is_reached() {
    let inner = inner();
    let place = reaching(&format!("\"api.example.com:{}\"", inner.port()));
    denied(&place, &SPELLINGS, inner.port());
    // A name that may be reached, and leads inside.
    if let Some(name) = own_name() {
        let place = reaching(&format!("\"{name}:{}\"", inner.port()));
        denied(&place, &[&name], inner.port());
    }
    assert_eq!(inner.heard(), Vec::<String>::new());
}

/// The name of this machine, where its own tables lead from there to loopback.
fn own_name() -> Option<String> {
    let name = String::from_utf8(fs::read("/proc/sys/kernel/hostname").ok()?).ok()?;
    let name = name.trim().to_owned();
    let leads_inside = (name.as_str(), 80)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()));
    if !leads_inside || name == "localhost" {
        writeln!(std::io::stderr(), "skipped: `{name}` does not lead to this machine").ok();
        return None;
    }
    Some(name)
}

/// Another such server looked at the first address alone, and not where it was sent from there.
#[test]
fn cve_2025_65513_a_redirect_leads_nowhere_else() {
    let inner = inner();
    let target = format!("{}/secret", inner.url());
    let outer = Listener::new(move |_| {
        format!(
            "HTTP/1.1 302 x\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    });
    let place = reaching(&format!("\"127.0.0.1:{}\"", outer.port()));
    let said = does(&place, &format!("through http://127.0.0.1:{}/", outer.port()));
    assert!(said.starts_with("HTTP/1.1 302") && said.contains("/secret"), "{said}");
    assert_eq!(outer.heard().len(), 1);
    // The program follows it.
    denied(&place, &["127.0.0.1"], inner.port());
    assert_eq!(inner.heard(), Vec::<String>::new());
}

/// ToolHive's guard did not know that an address of IPv6 may stand for one of IPv4.
#[test]
fn go_2026_5996_addresses_that_stand_for_others_are_not_reached() {
    let inner = inner();
    let place = reaching(&format!("\"api.example.com:{}\"", inner.port()));
    let hosts = [
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:0:0:0:0:80ff:fffe]",
        "[::127.0.0.1]",
        "[::ffff:0:7f00:1]",
    ];
    denied(&place, &hosts, inner.port());
    assert_eq!(inner.heard(), Vec::<String>::new());
    // Nor may an entry say so.
    for host in ["[64:ff9b::a9fe:a9fe]", "169.254.169.254", "[::ffff:169.254.169.254]"] {
        let place = Place::new();
        place.configure(&format!(
            "[server.m]\ncommand = [\"/bin/cat\"]\n[server.m.sandbox]\nreach = [\"{host}:80\"]\n"
        ));
        let ran = place.run(&["check"]);
        assert_ne!(ran.code, 0, "{host}: {ran:?}");
    }
}

/// A later version of a server for mail sent a copy of everything to its author, with the same
/// definitions as before: what it reaches is not.
#[test]
fn postmark_mcp_bcc_another_recipient_is_not_reached() {
    let (api, author) = (inner(), inner());
    let place = reaching(&format!("\"127.0.0.1:{}\"", api.port()));
    let said = does(&place, &format!("through http://127.0.0.1:{}/send", api.port()));
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("inner"), "{said}");
    denied(&place, &["127.0.0.1"], author.port());
    assert_eq!((api.heard().len(), author.heard().len()), (1, 0));
    let subject = |port: u16| format!("127.0.0.1:{port}");
    let noted = |event: &str, port: u16| {
        events(&place, event).iter().any(|record| record.to_string().contains(&subject(port)))
    };
    assert!(noted("egress", api.port()) && noted("egress-denied", author.port()));
}
