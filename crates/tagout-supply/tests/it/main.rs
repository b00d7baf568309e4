//! Tests of the supply chain's parts.
mod attestations;
