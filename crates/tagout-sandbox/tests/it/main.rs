//! What a started program gets, what it does not get, and how it ends.
#![expect(clippy::unwrap_used, reason = "shared steps of tests fail like tests")]
#![cfg_attr(
    all(target_os = "linux", not(tagout_elsewhere)),
    expect(clippy::panic, reason = "shared steps of tests fail like tests"),
    expect(clippy::print_stdout, reason = "a test that is skipped says so")
)]
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod bench;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod degraded;
#[cfg(not(all(target_os = "linux", not(tagout_elsewhere))))]
mod elsewhere;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod ends;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod escape;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod inheritance;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod isolation;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod limits;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod machine;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod memory;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod observe;
#[cfg(all(target_os = "linux", not(tagout_elsewhere)))]
mod refusals;
