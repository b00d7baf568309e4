//! What came of an attempt, as it is seen from outside: what a program says of itself counts only
//! where nothing else can be seen.
use std::{os::unix::fs::MetadataExt as _, path::Path, sync::Arc, thread, time::Duration};

use crate::{report::Said, scene::Scene, services::Services, terminal::Terminal};

/// Everything that was seen in one round.
pub(crate) struct Seen {
    pub(crate) scene: Scene,
    pub(crate) services: Arc<Services>,
    pub(crate) terminal: Option<Arc<Terminal>>,
    pub(crate) said: Said,
    /// The gateway.
    pub(crate) gateway: u32,
    /// Somebody killed the gateway.
    pub(crate) killed: bool,
    /// A descendant showed that it lived on after the gateway.
    pub(crate) lived_on: bool,
    /// Somebody reached the program from outside.
    pub(crate) reached: bool,
}

impl Seen {
    /// It says so, and nobody else can see it.
    pub(crate) fn said(&self) -> bool {
        self.said.succeeded
    }

    /// It knows what it must not know.
    pub(crate) fn secret(&self) -> bool {
        self.said.evidence.contains(&self.scene.secret)
    }

    /// A service that it must not reach heard from it.
    pub(crate) fn heard(&self) -> bool {
        self.soon(|| self.services.heard(&self.scene.mark))
    }

    pub(crate) fn reached(&self) -> bool {
        self.reached
    }

    /// It wrote into this file, relative to the scene.
    pub(crate) fn written(&self, file: &str) -> bool {
        self.scene.has_mark(&self.scene.root.join(file))
    }

    pub(crate) fn dropped(&self) -> bool {
        self.scene.has_mark(&self.scene.dropped())
    }

    pub(crate) fn in_usr(&self) -> bool {
        self.scene.has_mark(&self.scene.in_usr())
    }

    /// A program that runs as whoever owns it is there for anybody.
    pub(crate) fn set_id(&self) -> bool {
        ["out/set-id", "out/set-id-too"].into_iter().any(|file| {
            let found = self.scene.root.join(file).metadata();
            found.is_ok_and(|it| it.mode() & 0o6000 != 0)
        })
    }

    pub(crate) fn gateway_killed(&self) -> bool {
        self.killed
    }

    pub(crate) fn beats(&self) -> bool {
        self.lived_on
    }

    /// The gateway's limits are what the program chose.
    pub(crate) fn limited(&self) -> bool {
        let path = format!("/proc/{}/limits", self.gateway);
        let limits = crate::attempt::read(Path::new(&path)).unwrap_or_default();
        let mut files = limits.lines().filter_map(|line| line.strip_prefix("Max open files"));
        files.any(|rest| rest.split_whitespace().next() == Some("77"))
    }

    /// The terminal has a line that nobody typed.
    pub(crate) fn typed(&self) -> bool {
        let terminal = self.terminal.as_ref();
        self.soon(|| terminal.is_some_and(|it| it.was_typed(&self.scene.mark)))
    }

    pub(crate) fn on_terminal(&self) -> bool {
        let terminal = self.terminal.as_ref();
        self.soon(|| terminal.is_some_and(|it| it.shows(&self.scene.mark)))
    }

    /// What it says it sent may take a moment.
    fn soon(&self, seen: impl Fn() -> bool) -> bool {
        let rounds = if self.said.succeeded { 50 } else { 1 };
        (0..rounds).any(|_| {
            let now = seen();
            if !now {
                thread::sleep(Duration::from_millis(10));
            }
            now
        })
    }
}
