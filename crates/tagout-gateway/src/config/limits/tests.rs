use std::path::Path;

use super::*;
use crate::config::Config;

fn parsed(text: &str) -> Result<Shares, String> {
    let config = Config::parse("tagout.toml", text, Path::new("/etc/tagout"));
    config.map(|config| config.shares).map_err(|error| format!("{error}"))
}

#[test]
fn a_rate_says_how_much_per_what_time() {
    for (text, unit, shown) in [
        ("100/s", Unit::Calls, "100/s"),
        ("100/s burst 20", Unit::Calls, "100/s burst 20"),
        (" 600 /min", Unit::Calls, "600/min"),
        ("5/day", Unit::Calls, "5/day"),
        ("8 MiB/s", Unit::Bytes, "8 MiB/s"),
        ("8MiB/h burst 1 GiB", Unit::Bytes, "8 MiB/h burst 1 GiB"),
        ("1500 B/s", Unit::Bytes, "1500 B/s"),
    ] {
        assert_eq!(Rate::parse(text, unit).unwrap().to_string(), shown);
    }
    for (text, unit) in [
        ("", Unit::Calls),
        ("100", Unit::Calls),
        ("0/s", Unit::Calls),
        ("-1/s", Unit::Calls),
        ("1.5/s", Unit::Calls),
        ("100/week", Unit::Calls),
        ("100/s bursts 3", Unit::Calls),
        ("100/s burst", Unit::Calls),
        ("99999999999999999999/s", Unit::Calls),
        ("2000000000/s", Unit::Calls),
        ("100/s", Unit::Bytes),
        ("99999999999 GiB/s", Unit::Bytes),
    ] {
        assert!(Rate::parse(text, unit).is_err(), "{text}");
    }
}

#[test]
fn what_is_not_said_of_one_holds_as_for_all() {
    let shares = parsed(
        r#"
        [limits.principal]
        calls = "100/s"
        at_once = 8
        [limits.principals.ann]
        at_once = 2
        [limits.clients.cursor]
        calls = "5/s"
        [limits.tool]
        units = 2
        [server.x]
        command = ["/bin/x"]
        [server.x.limits]
        calls = "10/min"
        [server.x.limits.tools.dear]
        units = 50
        wall_s = 5
        "#,
    )
    .unwrap();
    let ann = shares.principals.of("ann");
    let bob = shares.principals.of("bob");
    assert_eq!((ann.at_once, bob.at_once), (Some(2), Some(8)));
    assert_eq!(ann.calls, bob.calls);
    assert_eq!(bob.wall, Some(WALL));
    assert!(shares.clients.of("other").is_none() && !shares.clients.of("cursor").is_none());
    let (_, server) = shares.servers.iter().next().unwrap();
    assert_eq!(server.bounds.calls.unwrap().to_string(), "10/min");
    assert_eq!(server.bounds.at_once, Some(2048));
    assert_eq!((server.of("dear").units, server.of("other").units), (50, 2));
    assert_eq!(server.of("dear").bounds.wall, Some(Duration::from_secs(5)));
}

#[test]
fn what_is_wrong_is_said() {
    for wrong in [
        "[limits.principal]\ncalls = \"100\"",
        "[limits.principal]\ncall = \"100/s\"",
        "[limits.principal]\nat_once = 0",
        "[limits.principal]\nwall_s = 3601",
        "[limits.principal]\nunits = 1",
        "[limits.principal.ann]\ncalls = \"1/s\"",
        "[limits.principals.ann]\ncals = \"1/s\"",
        "[limits.client]\nbytes_in = \"10/s\"",
        "[limits.quota]\naudit_mb = 0",
        "[server.x]\ncommand = [\"/bin/x\"]\n[server.x.limits]\nunits = 1",
        "[server.x]\ncommand = [\"/bin/x\"]\n[server.x.limits.tool.a]\nunits = 1",
    ] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
    let error = parsed("[limits.principal]\ncalls = \"many\"").unwrap_err();
    assert!(error.contains("`calls` is \"many\""), "{error}");
}
