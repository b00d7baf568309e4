//! URLs that are meant to lead inside, by a table of one's own and by the corpus where it is there.
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::Arc,
};

use flate2::read::GzDecoder;
use tagout_wire::egress::{EgressBounds, Guard};

use super::stand_in::{Behind, Names};
use crate::peers::status;

/// Names that lead inside, as public resolvers answer for them or a cluster's own does.
fn names() -> Arc<Names> {
    Names::of(&[
        ("metadata.google.internal", &[&["169.254.169.254"]]),
        ("metadata", &[&["169.254.169.254"]]),
        ("kubernetes.default.svc", &[&["10.96.0.1"]]),
        ("localtest.me", &[&["127.0.0.1"]]),
        ("lvh.me", &[&["127.0.0.1"]]),
        ("127.0.0.1.nip.io", &[&["127.0.0.1"]]),
        ("spoofed.burpcollaborator.net", &[&["127.0.0.1"]]),
        ("localhost", &[&["127.0.0.1", "::1"]]),
        ("ip6-localhost", &[&["::1"]]),
        ("six.example", &[&["1.1.1.1", "::ffff:127.0.0.1"]]),
        ("example.com", &[&["192.0.2.1"]]),
    ])
}

const OWN: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.0.0.1:22/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://2130706433/",
    "http://3232235521/",
    "http://425.510.425.510/",
    "http://127.0.0.1./",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata/",
    "http://kubernetes.default.svc/api",
    "http://localtest.me/",
    "http://127.0.0.1.nip.io/",
    "http://six.example/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1\\@example.com/",
    "http://127.0.0.1%2523@example.com/",
    "http://127.0.0.1:80\\@example.com/",
    "http://\u{2460}\u{2461}\u{2466}.0.0.1/",
    "http://127\u{3002}0\u{3002}0\u{3002}1/",
    "http:///etc/passwd",
    "http://",
    "https://127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:11211/stats",
    "unix:///var/run/docker.sock",
    "jar:http://127.0.0.1!/x",
];

/// Asks the proxy of a server that may reach everything public, at every port that occurs.
async fn refused(urls: impl IntoIterator<Item = String>) -> usize {
    let entries: Vec<_> = (1..=10_000)
        .filter(|port| [22, 80, 443, 5000, 6379, 8080, 8500, 9200].contains(port))
        .map(|port| format!("*:{port}"))
        .collect();
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    let names = names();
    let guard = Guard::resolving(names.clone());
    let mut behind = Behind::with(&entries, guard, (names, EgressBounds::default()));
    let mut count = 0;
    for url in urls {
        let host = url.split('/').nth(2).unwrap_or_default();
        let authority = host.rsplit('@').next().unwrap_or_default();
        // As a program would that follows the URL as it stands, and one that parses it first.
        for host in [host, authority] {
            let ask = format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = behind.raw(&ask).await;
            assert!(["400", "403"].contains(&status(&answer)), "{url}: {answer}");
            let connection = behind.next().await;
            assert!(connection.refused.is_some() && connection.bytes_out == 0, "{url}");
        }
        count += 1;
    }
    count
}

#[tokio::test]
async fn no_url_leads_inside() {
    let all = OWN.iter().map(|url| (*url).to_owned());
    assert_eq!(refused(all).await, OWN.len());
}

/// The corpus of attacks, if there is one.
fn corpus() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("TAGOUT_SHARED").map_or_else(beside, PathBuf::from);
    Some(folder.join("data/attacks/authored_args.jsonl.gz")).filter(|path| path.exists())
}

#[tokio::test]
async fn the_corpus_leads_nowhere_inside() {
    let Some(path) = corpus() else {
        println!("skipped: no corpus of attacks (set TAGOUT_SHARED)");
        return;
    };
    let rows = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    let urls = rows.filter_map(|line| {
        let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        row["kind"].as_str()?.starts_with("ssrf").then(|| row["text"].as_str().unwrap().to_owned())
    });
    let count = refused(urls).await;
    assert!(count >= 20, "{count}");
}
