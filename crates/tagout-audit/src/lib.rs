//! The audit log: who called what, what was decided and how it ended, on a record that cannot be
//! quietly changed.
//!
//! Synchronous and without a clock: the caller brings the time. Several processes may write to
//! one directory at once, and any of them may die at any moment.
//!
//! # A call
//! [`Log::begin`] before anything is tried, [`Entry::decided`] before it is forwarded (or both at
//! once with [`Log::begin_decided`]), [`Entry::end`] before anything is answered. A call's number
//! is that of its first line. An [`Entry`] that is dropped leaves the call's outcome unknown.
//!
//! # Files
//! | file | what |
//! |---|---|
//! | `log-000001.jsonl` … | the chain: one JSON object a line, plain ASCII, fixed key order |
//! | `payloads-000001.jsonl` … | redacted arguments and words, beside the chain so that they can be erased |
//! | `head` | number and hash of the last line, signed, at the latest 50 ms after it was written |
//! | `mark` | the same, written with every line, under a code of the key's holder |
//! | `lock` | held while a line is written |
//!
//! Every line ends with `"hash"`, computed over the hash of the line before and over the exact
//! bytes of the line before that member; `"prev"` repeats the former. The signing key lies
//! elsewhere, so that whoever can write to the directory cannot sign a shorter log.
//!
//! # Formulas
//! For who wants to verify with something else. `H` is [`tagout_proto::Digest::of_parts`]: SHA-256
//! over the parts, each after its length as 64 bits, big endian.
//! - `hash` of a line: H(`tagout-audit-line-1`, the 32 bytes of `prev`, the line up to and without
//!   `,"hash":`); `prev` of the first line: SHA-256 of the text of its member `log`;
//! - `payload` of a begin line or of a said line: H(the text of `salt`, the text of `payload`), both in the payload
//!   file's line with the same `n`;
//! - `sig` of the head: Ed25519 over `tagout-audit-head-1`, a line feed, and the head up to and
//!   without `,"sig":`;
//! - `mac` of the mark: H(K, H(`tagout-audit-mark-1`, K, the mark up to and without `,"mac":`)), K
//!   being H(`tagout-audit-mark-key-1`, the signing key's 32 bytes).

mod backward;
mod chain;
mod error;
mod facts;
mod files;
mod head;
mod key;
mod ledger;
mod line;
mod log;
mod mark;
mod payload;
mod read;
pub mod record;
mod report;
mod said;
mod signer;
mod start;
mod tail;
mod trace;
mod verify;
mod writer;

pub use error::AuditError;
pub use facts::{
    Approval, Begin, Decision, Durability, End, Given, Note, Outcome, Shadow, Verdict,
};
pub use key::{BadPublicKey, PublicKey};
pub use log::{Entry, Log, Settings};
pub use read::Reader;
pub use record::{Line, Record};
pub use report::{Covered, Notice, Open, Payloads, Problem, ProblemKind, Report, limits};
pub use said::{Cause, Said, SaidCall, SaidResult, Tokens, What};
pub use trace::{Answer, Doubt, DoubtKind, Part, Step, Trace, Uncompared};
pub use verify::{verify, verify_as_owner};
