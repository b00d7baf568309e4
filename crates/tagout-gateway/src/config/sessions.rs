//! The `[sessions]` part: what the assistant keeps of what was said, for how long, and under which
//! key. For the assistant: no call depends on it.
use jiff::{SignedDuration, Timestamp};
use toml::Spanned;

use super::{ConfigError, Reader, Source};

/// What the assistant keeps of what was said.
#[derive(Clone, Debug)]
pub struct KeptSessions {
    /// How many days after it was last used a session goes; 0: none is ever kept.
    pub keep_days: u16,
    /// Where the key is that they are sealed under; without one, Tagout draws its own.
    pub key: Option<Source>,
}

/// Days.
const KEEP: u16 = 30;
const LONGEST: u64 = 3650;

impl Default for KeptSessions {
    fn default() -> Self {
        Self { keep_days: KEEP, key: None }
    }
}

impl KeptSessions {
    /// What was last used before that moment is not kept any more at `now`; where nothing is kept,
    /// `now` and all that was there.
    #[must_use]
    pub fn expired_before(&self, now: Timestamp) -> Timestamp {
        let kept = SignedDuration::from_hours(24 * i64::from(self.keep_days));
        if self.keep_days == 0 {
            return Timestamp::MAX;
        }
        now.checked_sub(kept).unwrap_or(Timestamp::MIN)
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSessions {
    keep_days: Option<Spanned<u64>>,
    key: Option<Spanned<String>>,
}

impl Reader<'_> {
    pub(super) fn sessions(&self, written: &WrittenSessions) -> Result<KeptSessions, ConfigError> {
        let mut kept = KeptSessions::default();
        if let Some(days) = self.within("keep_days", written.keep_days.as_ref(), 0..=LONGEST)? {
            kept.keep_days = u16::try_from(days).unwrap_or(KEEP);
        }
        if let Some(key) = &written.key {
            kept.key = Some(self.local_source("the key of sessions", key)?);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, masked::without_values};

    fn parsed(text: &str) -> Result<KeptSessions, String> {
        let config = Config::parse("tagout.toml", text, Path::new("/etc/tagout"));
        config.map(|config| config.sessions).map_err(|error| format!("{error} {error:?}"))
    }

    #[test]
    fn what_is_written_is_checked() {
        let kept = parsed("").unwrap();
        assert_eq!((kept.keep_days, kept.key), (30, None));
        let kept = parsed("[sessions]\nkeep_days = 0\nkey = \"file://s.key\"").unwrap();
        let file = Source::File("/etc/tagout/s.key".into());
        assert_eq!((kept.keep_days, kept.key), (0, Some(file)));
        let kept = parsed("[sessions]\nkey = \"env://S_KEY\"").unwrap();
        assert_eq!(kept.key, Some(Source::Env("S_KEY".to_owned())));
        for wrong in [
            "[sessions]\nkeep_days = -1",
            "[sessions]\nkeep_days = 3651",
            "[sessions]\nkeep_days = \"30\"",
            "[sessions]\nkeep = 30",
            "[sessions]\nkey = \"env://\"",
            "[[sessions]]\nkeep_days = 1",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_stands_there_is_refused_and_not_shown() {
        for text in [
            "[sessions]\nkey = \"hunter2hunter2\"",
            "[ sessions ]\n  key= \"hunter2hunter2\"",
            "[sessions]\nkey = 'hunter2hunter2'\nkeep_days = 9999",
            "[sessions]\n\"key\" = 'hunter2hunter2'",
            "[sessions]\nkey = \"\"\"\nhunter2hunter2=\"\"\"",
            "[sessions]\nkeys = \"hunter2hunter2\"",
            "[sessions]\nkey = '''\n[hunter2hunter2\nhunter2'''",
            "sessions.key = \"hunter2hunter2\"",
            "sessions = { key = \"hunter2hunter2\" }",
            "sessions = { keep_days = 1, key = \"hunter2hunter2\", x = 1 }",
            "[sessions.key]\nvalue = \"hunter2hunter2\"",
            "[sessions . key]\nvalue = \"hunter2hunter2\"",
            "[sessions.\"a b\"]\nvalue = \"hunter2hunter2\"",
            "[\"sess\\u0069ons\"]\nkey = \"hunter2hunter2\"",
            "[\"sess\\U00000069ons\".key]\nvalue = \"hunter2hunter2\"",
            "[\"sess\\u0069ons\" x]\nkey = \"hunter2hunter2\"",
            "[[sessions]]\nkey = \"hunter2hunter2\"",
            "[sessions\nkey = \"hunter2hunter2\"",
            "\"sess\\u0069ons\" = { key = \"hunter2hunter2\" }",
            "\"sess\\u0069ons\".key = \"hunter2hunter2\"",
            "sessions . key = \"hunter2hunter2\"",
            "sessions = \"hunter2hunter2\"",
            "sessions = {\n  key = \"hunter2hunter2\"\n}",
            "sessions = [\n{ key = \"hunter2hunter2\" }\n]",
            "[sessions]\nkeep_days = 1 key = \"hunter2hunter2\"",
            "[sessions]\nkeep_days = \"hunter2hunter2\"",
            "[sessions]\nkeep_days = hunter2hunter2",
            "[sessions]\nkey \"hunter2hunter2=\"",
            "[sessions]\nhunter2hunter2hunter2hunter2hunter2hunter2=",
            "[sessions]\nkey = [\n[\"hunter2hunter2\"]\n]",
            "[sessions]\nkey = [\n# hunter2hunter2\n]",
            "[sessions]\nkey = \"\"\"\n[server.x]\nhunter2hunter2\n\"\"\"",
            "[host]\ntools = [\n[sessions]\nkey = \"hunter2hunter2\"",
            "[host]\ntools = \"\"\"\n[sessions]\nkey = \"hunter2hunter2\"",
            "[server.x]\nenv = {\n[sessions]\nkey = \"hunter2hunter2\"",
        ] {
            let error = parsed(text).unwrap_err();
            let shown = without_values(text);
            assert!(!error.contains("hunter2") && !shown.contains("hunter2"), "{error}: {shown}");
        }
        let error = parsed("[sessions]\nkey = \"hunter2hunter2\"").unwrap_err();
        assert!(error.contains("no reference"), "{error}");
        let error = parsed("[sessions]\nkeeps = 30").unwrap_err();
        assert!(error.contains("unknown field `keeps`, expected `keep_days` or `key`"), "{error}");
    }

    #[test]
    fn what_is_too_old_is_said_to_the_second() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let before = |keep_days| KeptSessions { keep_days, key: None }.expired_before(now);
        assert_eq!(before(1).to_string(), "2026-11-20T12:00:00Z");
        assert_eq!(before(30).to_string(), "2026-10-22T12:00:00Z");
        assert_eq!(before(0), Timestamp::MAX);
    }
}
