//! Playing a transcript against a peer.
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Act, HttpTranscript, Names, Request, Response,
    connection::{Came, Connection, Event},
};
use crate::transcript::{
    Mismatch,
    matching::{compare, fill},
};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Says whether a condition of `until` holds by now.
pub type Holds<'a> = dyn FnMut(&str) -> Result<bool, String> + 'a;

impl HttpTranscript {
    /// Plays the clients' parts against a peer at `address` and waits for everything that is
    /// expected for `patience` at most. `given` are values with a name; `holds` knows the
    /// conditions of `until`. Returns every JSON text that came.
    ///
    /// # Errors
    /// The first difference.
    pub fn play(
        &self,
        address: SocketAddr,
        given: Names,
        patience: Duration,
        holds: &mut Holds<'_>,
    ) -> Result<Vec<String>, Mismatch> {
        let mut names = given;
        names.extend(self.names.clone());
        let (connections, came) = (BTreeMap::new(), Vec::new());
        let transcript = self;
        let mut player = Player { transcript, address, patience, names, connections, came };
        let mut note = None;
        for entry in &self.entries {
            let played = match &entry.act {
                Act::Note(text) => {
                    note = Some(text.clone());
                    Ok(())
                }
                Act::Request(request) => player.request(request),
                Act::Response(response) => player.response(response),
                Act::Events(connection, group) => player.events(connection, group),
                Act::Endpoint(connection, expected) => player.endpoint(connection, expected),
                Act::End(connection) => player.end(connection),
                Act::Disconnect(connection) => {
                    player.connections.remove(connection);
                    Ok(())
                }
                Act::Until(condition) => player.until(condition, holds),
            };
            played.map_err(|differs| {
                let Differs { line, expected, got, differences } = differs;
                let line = line.unwrap_or(entry.line);
                Mismatch { note: note.clone(), ..Mismatch::new(line, expected, got, differences) }
            })?;
        }
        Ok(player.came)
    }
}

struct Player<'a> {
    transcript: &'a HttpTranscript,
    address: SocketAddr,
    patience: Duration,
    names: Names,
    connections: BTreeMap<String, Connection>,
    came: Vec<String>,
}

#[derive(Default)]
struct Differs {
    /// Where it is not the entry's own.
    line: Option<usize>,
    expected: String,
    got: String,
    differences: Vec<String>,
}

fn differs(expected: impl ToString, got: impl ToString, why: &str) -> Differs {
    let (expected, got) = (expected.to_string(), got.to_string());
    Differs { expected, got, differences: vec![why.to_owned()], ..Differs::default() }
}

impl Player<'_> {
    /// Texts of values in the place of their names, quoted ones first.
    fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        let bytes = fill(bytes, &self.names);
        let Ok(text) = std::str::from_utf8(&bytes) else { return bytes };
        let filled = self.names.iter().fold(text.to_owned(), |text, (name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            text.replace(&format!("<as {name}>"), &value)
        });
        filled.into_bytes()
    }

    fn request(&mut self, request: &Request) -> Result<(), Differs> {
        let mut headers: Vec<&(String, String)> = Vec::new();
        for set in &request.sets {
            let known = self.transcript.sets.iter().filter(|(name, _)| name == set);
            let before = headers.len();
            headers.extend(known.map(|(_, header)| header));
            if headers.len() == before {
                return Err(differs(set, "", "there is no such set of headers"));
            }
        }
        headers.retain(|(name, _)| !request.without.contains(name));
        headers.extend(&request.headers);
        let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
        if !headers.iter().any(|(name, _)| name == "host")
            && !request.without.iter().any(|name| name == "host")
        {
            text.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut bytes = self.filled(text.as_bytes());
        let body = request.body.as_deref().map(|body| self.filled(body)).unwrap_or_default();
        if request.method == "POST" {
            bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        let opened = Connection::open(self.address, &bytes);
        let opened = opened.map_err(|error| differs("a connection", error, "none"))?;
        self.connections.insert(request.connection.clone(), opened);
        Ok(())
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, Differs> {
        let connection = self.connections.get_mut(name);
        connection.ok_or_else(|| differs(name, "", "there is no such connection"))
    }

    fn response(&mut self, expected: &Response) -> Result<(), Differs> {
        let patience = self.patience;
        let connection = self.connection(&expected.connection)?;
        let wanted = format!("status {}", expected.status);
        let (status, headers) = match connection.head(patience) {
            Came::This(head) => head,
            Came::Nothing => return Err(differs(wanted, "", "nothing came in time")),
            Came::End => return Err(differs(wanted, "", "the connection was closed")),
        };
        let kind = headers.iter().find(|(name, _)| name == "content-type");
        let streams = kind.is_some_and(|(_, kind)| kind.starts_with("text/event-stream"));
        let body = if streams { None } else { Some(self.body(&expected.connection)?) };
        if status != expected.status {
            let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
            let got = format!("status {status} {}", body.unwrap_or_default());
            return Err(differs(wanted, got, "another status"));
        }
        self.headers(expected, &headers)?;
        match (&expected.body, body) {
            (Some(expected), Some(body)) => {
                let text = String::from_utf8_lossy(&body).into_owned();
                self.same(expected, &text)
            }
            // An answer may come by a stream, if it takes a while.
            (Some(body), None) => self.events(&expected.connection, &[(0, body.clone())]),
            (None, Some(body)) if !body.is_empty() => {
                // And an event by itself, if it does not; nobody has to ask for it.
                let text = String::from_utf8_lossy(&body).into_owned();
                self.came.push(text.clone());
                self.connection(&expected.connection)?.keep(&text);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn body(&mut self, connection: &str) -> Result<Vec<u8>, Differs> {
        let patience = self.patience;
        match self.connection(connection)?.body(patience) {
            Came::This(body) => Ok(body),
            Came::Nothing | Came::End => Err(differs("a body", "", "nothing came in time")),
        }
    }

    fn headers(
        &mut self,
        expected: &Response,
        headers: &[(String, String)],
    ) -> Result<(), Differs> {
        let of = |wanted: &str| headers.iter().find(|(name, _)| name == wanted);
        for (name, pattern) in &expected.headers {
            let Some((_, value)) = of(name) else {
                return Err(differs(name, "", "the header is missing"));
            };
            let found = compare(&pattern.as_str().into(), &value.as_str().into(), &mut self.names);
            if !found.is_empty() {
                return Err(differs(format!("{name}: {pattern}"), value, "another header"));
            }
        }
        match expected.without.iter().find_map(|name| of(name)) {
            Some((name, value)) => {
                Err(differs("", format!("{name}: {value}"), "a header too many"))
            }
            None => Ok(()),
        }
    }

    fn same(&mut self, expected: &Value, text: &str) -> Result<(), Differs> {
        self.came.push(text.to_owned());
        let mut names = self.names.clone();
        let differences = match serde_json::from_str::<Value>(text) {
            Ok(actual) => compare(expected, &actual, &mut names),
            Err(error) => vec![format!("not JSON: {error}")],
        };
        if differences.is_empty() {
            self.names = names;
            return Ok(());
        }
        let (expected, got) = (expected.to_string(), text.to_owned());
        Err(Differs { expected, got, differences, ..Differs::default() })
    }

    /// The next event that says something.
    fn event(&mut self, connection: &str) -> Result<Option<Event>, Differs> {
        let patience = self.patience;
        loop {
            match self.connection(connection)?.event(patience) {
                Came::Nothing => return Err(differs("an event", "", "nothing came in time")),
                Came::End => return Ok(None),
                Came::This(event) => {
                    if let Some(id) = &event.id {
                        self.names.insert(format!("{connection}.id"), id.as_str().into());
                    }
                    if !event.data.is_empty() {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn events(&mut self, connection: &str, group: &[(usize, Value)]) -> Result<(), Differs> {
        let mut left: Vec<&(usize, Value)> = group.iter().collect();
        while let Some((line, first)) = left.first() {
            let line = (*line > 0).then_some(*line);
            let event = match self.event(connection) {
                Ok(Some(event)) => event,
                Ok(None) => {
                    return Err(Differs { line, ..differs(first, "", "the stream ended") });
                }
                Err(why) => {
                    let expected = first.to_string();
                    return Err(Differs { line, expected, ..why });
                }
            };
            let mut nearest: Option<Differs> = None;
            let mut found = None;
            for (place, (line, expected)) in left.iter().enumerate() {
                match self.same(expected, &event.data) {
                    Ok(()) => {
                        found = Some(place);
                        break;
                    }
                    Err(why) => {
                        let fewer = |n: &Differs| why.differences.len() < n.differences.len();
                        if nearest.as_ref().is_none_or(fewer) {
                            let line = (*line > 0).then_some(*line);
                            nearest = Some(Differs { line, ..why });
                        }
                    }
                }
            }
            match found {
                Some(place) => drop(left.remove(place)),
                None => return Err(nearest.unwrap_or_default()),
            }
        }
        Ok(())
    }

    fn endpoint(&mut self, connection: &str, expected: &Value) -> Result<(), Differs> {
        let event = self.event(connection)?.unwrap_or_default();
        if event.name.as_deref() != Some("endpoint") {
            return Err(differs(expected, format!("{event:?}"), "no endpoint"));
        }
        let found = compare(expected, &event.data.as_str().into(), &mut self.names);
        if found.is_empty() { Ok(()) } else { Err(differs(expected, event.data, "another")) }
    }

    fn end(&mut self, connection: &str) -> Result<(), Differs> {
        match self.event(connection) {
            Ok(None) => Ok(()),
            Ok(Some(event)) => Err(differs("the end", event.data, "nothing more was expected")),
            Err(why) => Err(Differs { expected: "the end".to_owned(), ..why }),
        }
    }

    fn until(&self, condition: &str, holds: &mut Holds<'_>) -> Result<(), Differs> {
        let until = Instant::now() + self.patience;
        loop {
            match holds(condition) {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() < until => thread::sleep(LOOK),
                Ok(false) => return Err(differs(condition, "", "it did not come about in time")),
                Err(why) => return Err(differs(condition, why, "it cannot be looked at")),
            }
        }
    }
}
