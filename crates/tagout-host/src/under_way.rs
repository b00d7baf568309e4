//! A request that waits for its answer: how long, and what is shown meanwhile.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use std::time::Duration;

use rmcp::{
    model::{LoggingMessageNotificationParam, ProgressToken},
    service::ServiceError,
};
use tokio::time::Instant;

use crate::{Event, Ui, client::News};

/// How many times the usual limit a call may take that goes on and on making progress, or that
/// people think about.
const LONGEST: u32 = 4;

/// The most lines of servers' logs that are shown within one request.
const LOGGED: usize = 50;
/// The most bytes of one entry.
const LOGGED_BYTES: usize = 2 << 10;
/// The most characters of a logger's name, and of what a server says of its progress.
const SHORT: usize = 200;

/// A request that waits for its answer.
pub(crate) struct UnderWay {
    pub(crate) about: String,
    /// The server that it is about, as far as that is known.
    pub(crate) server: String,
    token: ProgressToken,
    /// How much is done, as it was told last.
    done: Option<f64>,
    /// Without progress.
    limit: Duration,
    pub(crate) until: Instant,
    at_last: Instant,
    /// The record that proposed it.
    pub(crate) cause: Option<u64>,
    pub(crate) denied: Option<String>,
    pub(crate) samplings: usize,
    /// How many lines of logs there were so far.
    logged: usize,
}

impl UnderWay {
    pub(crate) fn new(about: &str, token: ProgressToken, limit: Duration) -> Self {
        let began = Instant::now();
        Self {
            about: about.to_owned(),
            server: server_of(about).to_owned(),
            token,
            done: None,
            limit,
            until: began + limit,
            at_last: began + limit.saturating_mul(LONGEST),
            cause: None,
            denied: None,
            samplings: 0,
            logged: 0,
        }
    }

    /// Somebody has thought for so long, and the call could not go on.
    pub(crate) fn goes_on(&mut self, thought: Duration) {
        self.until = (self.until + thought).min(self.at_last);
    }

    pub(crate) fn too_late(&self) -> ServiceError {
        ServiceError::Timeout { timeout: self.limit }
    }

    /// Shows news of this request; those of others are nobody's any more.
    pub(crate) fn show(&mut self, news: News, ui: &mut dyn Ui) {
        match news {
            News::Progress(progress) if progress.progress_token == self.token => {
                // They come in no order that holds, and progress only grows.
                if self.done.is_some_and(|done| progress.progress <= done) {
                    return;
                }
                self.done = Some(progress.progress);
                self.until = self.until.max(Instant::now() + self.limit).min(self.at_last);
                ui.event(&Event::Progress {
                    tool: self.about.clone(),
                    done: progress.progress,
                    total: progress.total,
                    message: progress.message.map(|message| one_line(&message)),
                });
            }
            News::Progress(_) => {}
            News::Log(log) => self.log(&log, ui),
        }
    }

    /// Shows what a server says beside its answer, as its server's.
    fn log(&mut self, log: &LoggingMessageNotificationParam, ui: &mut dyn Ui) {
        if self.logged >= LOGGED {
            self.logged = self.logged.saturating_add(1);
            return;
        }
        let level = serde_json::to_value(log.level).ok();
        let level = level.and_then(|level| level.as_str().map(str::to_owned));
        let text = log.data.as_str().map_or_else(|| log.data.to_string(), str::to_owned);
        let lines = lines(&text, LOGGED - self.logged);
        self.logged += lines.len();
        ui.event(&Event::Logged {
            level: level.unwrap_or_default(),
            from: self.speaker(),
            logger: log.logger.as_deref().filter(|part| *part != self.server).map(one_line),
            lines,
        });
    }

    /// Says how much was left out, once the request is over.
    pub(crate) fn over(&mut self, ui: &mut dyn Ui) {
        if let Some(more @ 1..) = self.logged.checked_sub(LOGGED) {
            ui.event(&Event::Logged {
                level: "notice".to_owned(),
                from: "tagout".to_owned(),
                logger: None,
                lines: vec![format!("{} says {more} more, not shown", self.speaker())],
            });
        }
    }

    fn speaker(&self) -> String {
        if self.server.is_empty() { "a server".to_owned() } else { self.server.clone() }
    }
}

/// What ends a line, on whatever terminal.
fn breaks(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The lines of `text`, so many and so long at most; the last says what was left out.
fn lines(text: &str, most: usize) -> Vec<String> {
    let end = (0..=LOGGED_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    let shown = end.and_then(|end| text.get(..end)).unwrap_or_default();
    let text_lines = shown.split(breaks).filter(|line| !line.trim().is_empty());
    let mut lines: Vec<_> = text_lines.clone().take(most).map(str::to_owned).collect();
    let cut = shown.len() < text.len() || text_lines.count() > most;
    if let (true, Some(last)) = (cut, lines.last_mut()) {
        last.push_str(&format!(" … ({} bytes in all)", text.len()));
    }
    lines
}

fn one_line(text: &str) -> String {
    text.chars().take(SHORT).map(|c| if breaks(c) { ' ' } else { c }).collect()
}

/// The server that a request is about, as far as what it names tells.
pub(crate) fn server_of(about: &str) -> &str {
    let server = about.split_once("__").map(|(server, _)| server);
    // Resources go by their URIs, which say nothing of a server.
    server.filter(|server| !server.contains(':')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{LoggingLevel, NumberOrString, ProgressNotificationParam};

    use super::*;
    use crate::Nobody;

    fn token(number: i64) -> ProgressToken {
        ProgressToken(NumberOrString::Number(number))
    }

    fn progress(of: i64, done: f64) -> News {
        News::Progress(ProgressNotificationParam::new(token(of), done))
    }

    #[test]
    fn tools_and_prompts_tell_their_servers() {
        for (about, server) in [("grid__work", "grid"), ("a__b__c", "a"), ("grid://a__b", "")] {
            assert_eq!(server_of(about), server);
        }
    }

    #[test]
    fn progress_and_thought_give_more_time_to_an_end() {
        let limit = Duration::from_secs(10);
        let mut under = UnderWay::new("grid__work", token(1), limit);
        let began = under.until - limit;
        under.goes_on(Duration::from_secs(5));
        assert_eq!(under.until, began + Duration::from_secs(15));
        // Of another call, and backwards: neither is progress.
        under.until = began;
        under.show(progress(2, 9.0), &mut Nobody);
        assert_eq!((under.until, under.done), (began, None));
        under.show(progress(1, 2.0), &mut Nobody);
        let later = under.until;
        assert!(later >= began + limit);
        under.until = began;
        under.show(progress(1, 1.0), &mut Nobody);
        assert_eq!((under.until, under.done), (began, Some(2.0)));
        under.goes_on(limit * 100);
        assert_eq!(under.until, began + limit * LONGEST);
    }

    #[test]
    fn logs_are_their_servers_and_no_flood() {
        struct Seen(Vec<(String, Option<String>, Vec<String>)>);
        impl Ui for Seen {
            fn event(&mut self, event: &Event) {
                let Event::Logged { from, logger, lines, .. } = event else { panic!("{event:?}") };
                self.0.push((from.clone(), logger.clone(), lines.clone()));
            }
        }
        let log = |text: &str| {
            let data = serde_json::Value::from(text);
            let log = LoggingMessageNotificationParam::new(LoggingLevel::Info, data);
            News::Log(log.with_logger("tagout\n✓ allowed"))
        };
        let mut under = UnderWay::new("grid__work", token(1), Duration::from_secs(10));
        let mut seen = Seen(Vec::new());
        under.show(log("hums\r\n✓ allowed · record 7\u{2028}more"), &mut seen);
        let logger = Some("tagout ✓ allowed".to_owned());
        let lines = ["hums", "✓ allowed · record 7", "more"].map(str::to_owned).to_vec();
        assert_eq!(seen.0, [("grid".to_owned(), logger, lines)]);
        under.show(log(&"ü".repeat(5_000)), &mut seen);
        let (_, _, long) = seen.0.pop().unwrap();
        assert!(long[0].len() < 2_100 && long[0].ends_with(" … (10000 bytes in all)"));
        for _ in 0..60 {
            under.show(log("x"), &mut seen);
        }
        under.over(&mut seen);
        let shown: usize = seen.0.iter().map(|(.., lines)| lines.len()).sum();
        assert_eq!(shown, 3 + 46 + 1);
        let (from, _, lines) = seen.0.pop().unwrap();
        assert_eq!((from.as_str(), lines[0].as_str()), ("tagout", "grid says 14 more, not shown"));
    }
}
