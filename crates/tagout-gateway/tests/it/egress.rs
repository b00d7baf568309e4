//! What a server reaches, and what of it goes on record.
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tagout_audit::{
    Log, Reader,
    record::{Event, Noted},
};
use tagout_gateway::{
    Clock,
    egress::{EgressRecord, EgressTask, serve_with},
};
use tagout_proto::ServerName;
use tagout_wire::egress::{
    Allow, Budget, EgressBounds, Looked, Resolve, danger::guard_with_a_stand_in,
};
use tempfile::TempDir;

/// Every name is on this machine.
#[derive(Debug)]
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, name: &'a str) -> Looked<'a> {
        let inside = name == "inside.example";
        let four = if inside { [169, 254, 169, 254] } else { [127, 0, 0, 1] };
        Box::pin(async move { Ok(vec![four.into()]) })
    }
}

struct Served {
    runtime: tokio::runtime::Runtime,
    folder: TempDir,
    address: SocketAddr,
    host: u16,
    second: Arc<AtomicI64>,
    task: Option<EgressTask>,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let host = host();
        let second = Arc::new(AtomicI64::new(1_800_000_000));
        let told = Arc::clone(&second);
        let clock = Clock::new(move || {
            Timestamp::from_second(told.load(Ordering::SeqCst)).expect("a time that can be")
        });
        let audit = Log::open(
            &folder.path().join("audit"),
            &folder.path().join("keys/head.key"),
            clock.now(),
        );
        let server = ServerName::try_from("fetch").unwrap();
        let record = EgressRecord { audit: audit.unwrap(), clock, server, principal: None };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let entries = [format!("app.example:{host}"), format!("inside.example:{host}")];
        let allow = Allow::parse(&entries).unwrap();
        let guard = guard_with_a_stand_in(Arc::new(Here), Default::default());
        let task = runtime.block_on(async {
            let budget = Arc::new(Budget::new(EgressBounds::default()));
            serve_with(OwnedFd::from(listener), (&allow, guard), budget, record)
        });
        Self { runtime, folder, address, host, second, task: Some(task) }
    }

    fn get(&self, name: &str) -> String {
        let (mut stream, host) = (TcpStream::connect(self.address).unwrap(), self.host);
        let ask = format!("GET http://{name}:{host}/ HTTP/1.1\r\nHost: {name}:{host}\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        #[expect(clippy::disallowed_methods, reason = "a test's own peer")]
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn audit(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn notes(&self) -> Vec<Noted> {
        let mut notes = Vec::new();
        let each = Reader::new(&self.audit()).each(|line, _| {
            if let Event::Note(noted) = line.event {
                notes.push(noted);
            }
            true
        });
        each.unwrap();
        notes
    }

    /// Waits for so many notes.
    fn wait(&self, count: usize) -> Vec<Noted> {
        for _ in 0..3000 {
            let notes = self.notes();
            if notes.len() >= count {
                assert_eq!(notes.len(), count, "{notes:?}");
                return notes;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?}", self.notes());
    }
}

/// A host that answers every request.
fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).unwrap_or(0) > 0 {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").ok();
            }
        }
    });
    port
}

#[test]
fn every_connection_is_on_record() {
    let mut served = Served::new();
    assert!(served.get("app.example").ends_with("hello"));
    let first = served.wait(1).remove(0);
    let place = format!("app.example:{}", served.host);
    assert_eq!((first.event.as_str(), first.subject), ("egress", Some(place.clone())));
    assert_eq!(first.server.unwrap().as_str(), "fetch");
    let detail = first.detail.unwrap();
    let start = format!("HTTP request to 127.0.0.1:{}, ", served.host);
    assert!(detail.starts_with(&start) && detail.contains("bytes out, 43 bytes in"), "{detail}");

    assert!(served.get("inside.example").starts_with("HTTP/1.1 403 "));
    let second = served.wait(2).remove(1);
    assert_eq!(second.event, "egress-denied");
    let detail = second.detail.unwrap();
    assert!(
        detail.ends_with("egress-address: it leads to an address that is not public (metadata)"),
        "{detail}"
    );

    // One that is open when the server is ended.
    let mut stream = TcpStream::connect(served.address).unwrap();
    let ask = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    served.task = None;
    let third = served.wait(3).remove(2);
    assert_eq!((third.event.as_str(), third.subject), ("egress", Some(place)));
    assert!(third.detail.unwrap().starts_with("tunnel to 127.0.0.1:"));
    assert!(TcpStream::connect(served.address).is_err(), "there is no way out any more");
}

#[test]
fn a_flood_of_refusals_does_not_fill_the_log() {
    let served = Served::new();
    for _ in 0..50 {
        assert!(served.get("evil.example").starts_with("HTTP/1.1 403 "));
    }
    served.second.fetch_add(1, Ordering::SeqCst);
    // The last may have been answered, and not be written down, when the second ended.
    let all = || {
        let notes = served.notes();
        let more = notes.iter().map(|note| {
            let more = note.detail.as_ref().unwrap().split_once(" more connections were refused");
            more.map_or(1, |(count, _)| count.parse().unwrap())
        });
        (more.sum::<u32>(), notes)
    };
    let mut seen = all();
    for _ in 0..3000 {
        if seen.0 == 50 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        served.second.fetch_add(1, Ordering::SeqCst);
        seen = all();
    }
    let (count, notes) = seen;
    assert!(count == 50 && (2..10).contains(&notes.len()), "{notes:?}");
    assert_eq!(notes[0].subject.as_deref(), Some(&*format!("evil.example:{}", served.host)));
    let detail = notes[0].detail.as_deref().unwrap();
    assert!(detail.ends_with("egress-denied: it is not on the list of what this server may reach"));
    assert!(notes.iter().all(|note| note.event == "egress-denied"));
    // What gets through is on record, whatever else there is.
    for _ in 0..3 {
        assert!(served.get("app.example").ends_with("hello"));
    }
    served.wait(notes.len() + 3);
    drop(served.runtime);
}
