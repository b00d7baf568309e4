//! What every gateway of this process looks for, and what is written down of all of them.
use std::{
    borrow::Cow,
    cell::Cell,
    sync::{Arc, PoisonError, RwLock, Weak},
};

use tagout_inspect::live::Live;
use tagout_proto::Secret;

use super::Inner;

static PROCESS: RwLock<Process> = RwLock::new(Process { gateways: Vec::new(), others: Vec::new() });

struct Process {
    gateways: Vec<Weak<Inner>>,
    /// Secrets of no gateway: what whoever asks models shows their providers.
    others: Vec<Other>,
}

struct Other {
    name: String,
    text: Arc<Secret<String>>,
    live: Arc<Live>,
}

/// Secrets of no gateway that are looked for at once.
const OTHERS: usize = 64;
/// What is written where a line cannot be looked at.
const UNSEEN: &str = "[a line that could not be looked through for secrets]\n";

thread_local! {
    /// Whether this thread is looking through a text; what it writes meanwhile is not looked at.
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

struct Looking;

impl Looking {
    fn begins() -> Option<Self> {
        let before = LOOKING.try_with(|looking| looking.replace(true));
        (before == Ok(false)).then_some(Self)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        // A thread that ends looks at nothing any more.
        LOOKING.try_with(|looking| looking.set(false)).unwrap_or(());
    }
}

pub(super) fn know(gateway: &Arc<Inner>) {
    let others: Vec<_> = {
        let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
        process.gateways.retain(|one| one.strong_count() > 0);
        process.gateways.push(Arc::downgrade(gateway));
        let others = process.others.iter();
        others.map(|other| (other.name.clone(), Arc::clone(&other.text))).collect()
    };
    for (name, text) in others {
        gateway.look_for(&name, &name, &text);
    }
}

/// Has a secret that no gateway gives out looked for by all of this process, now and later.
pub fn look_for(name: &str, text: &Secret<String>) {
    let gateways: Vec<_> = {
        let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
        let is_it = |other: &Other| other.name == name && other.text.expose() == text.expose();
        if process.others.iter().any(is_it) {
            return;
        }
        let text = Arc::new(Secret::new(text.expose().clone()));
        let live = Arc::new(Live::new([(name, text.expose().as_str())]));
        if process.others.len() >= OTHERS {
            process.others.remove(0);
        }
        process.others.push(Other { name: name.to_owned(), text, live });
        process.gateways.iter().filter_map(Weak::upgrade).collect()
    };
    for inner in gateways {
        let text = Arc::new(Secret::new(text.expose().clone()));
        inner.look_for(name, name, &text);
    }
}

/// `text` without any secret that a gateway of this process has given out; for logs and messages.
/// Where that cannot be seen to, a word to say so.
#[must_use]
pub fn clean_text(text: &str) -> Cow<'_, str> {
    let Some(_looking) = Looking::begins() else { return Cow::Borrowed(UNSEEN) };
    let all: Vec<Arc<Live>> = {
        let process = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
        let gateways = process.gateways.iter().filter_map(Weak::upgrade);
        let live = |inner: Arc<Inner>| {
            Arc::clone(&inner.live.read().unwrap_or_else(PoisonError::into_inner))
        };
        let others = process.others.iter().map(|other| Arc::clone(&other.live));
        gateways.map(live).chain(others).collect()
    };
    let mut text = Cow::Borrowed(text);
    for live in all {
        if let Some(cleaned) = live.cleaned(&text) {
            text = Cow::Owned(cleaned.text);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_gateway_gives_out_is_looked_for_too() {
        look_for("provider-key", &Secret::new("k3y-0f-a-pr0vider".to_owned()));
        assert_eq!(clean_text("with k3y-0f-a-pr0vider"), "with [secret provider-key]");
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_written() {
        let looking = Looking::begins().unwrap();
        assert_eq!(clean_text("anything at all"), UNSEEN);
        drop(looking);
        assert_eq!(clean_text("anything at all"), "anything at all");
    }
}
