# `just` alone lists these.

_default:
    @just --list --unsorted

# Ask the Grid Operations Assistant
ask question="What is the outage risk of transformer A7 at 38 C with 70 km/h wind?":
    cargo run --release -- ask "{{question}}"

# Everything that is tested
test:
    cargo test --workspace

# Format, lint, and look after layers, sizes, docs and words
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask tidy

# Format everything
fmt:
    cargo fmt --all

# Licences, bans and sources of dependencies (needs cargo-deny)
deny:
    cargo deny check licenses bans sources

# The documentation of all crates
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Look for inputs that break the strict reader (needs cargo-fuzz)
fuzz seconds="60":
    mkdir -p target/fuzz-found
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none reader target/fuzz-found fuzz/corpus/reader -- -max_total_time={{seconds}}

# Start-up, throughput and memory of the release build
bench calls="20000":
    cargo build --release
    cargo run --release --package tagout-testkit --example measure -- target/release/tagout {{calls}}

# Write the built-in servers' lockfile anew, after a change of their tools
ship:
    cargo xtask ship

# Guard other people's servers: a release build and the interoperability tests
interop:
    cargo build --release
    tests/interop/run.sh target/release/tagout

# What a change has to pass
ci:
    .ci/run
