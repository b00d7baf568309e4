//! Somebody who listens on this machine, says what a test wants, and keeps what it was told.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::place::LIMIT;

/// The head of each request, with its body.
type Heard = Arc<Mutex<Vec<String>>>;

pub(super) struct Listener {
    address: SocketAddr,
    heard: Heard,
}

impl Listener {
    /// Answers each request with what `says` makes of it.
    pub(super) fn new(says: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, says) = (Heard::default(), Arc::new(says));
        let kept = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, says) = (Arc::clone(&kept), Arc::clone(&says));
                thread::spawn(move || serve(&stream, &*says, &kept));
            }
        });
        Self { address, heard }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    says: &(dyn Fn(&str) -> String + Send + Sync),
    heard: &Mutex<Vec<String>>,
) {
    stream.set_read_timeout(Some(LIMIT)).ok();
    let mut reader = BufReader::new(stream);
    // Also who connects and says nothing was there.
    let place = {
        let mut heard = heard.lock().unwrap();
        heard.push(String::new());
        heard.len() - 1
    };
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).unwrap_or_default() == 0 {
            break;
        }
    }
    let lower = request.to_lowercase();
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    if reader.read_exact(&mut body).is_ok() {
        request.push_str(&String::from_utf8_lossy(&body));
    }
    heard.lock().unwrap()[place].clone_from(&request);
    stream.write_all(says(&request).as_bytes()).ok();
}
