//! Holes that others had, each as a test that would fail if Tagout had it too, by its identifier.
//! `docs/vulnerabilities.md` says of each what it was and what it means here; `page.rs` holds that
//! page to what there is.
mod doors;
mod egress;
mod jails;
mod kept;
mod listener;
mod page;
mod parsers;
mod proposals;
mod servers;
mod shell;
mod web;
