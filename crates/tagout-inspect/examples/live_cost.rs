//! What looking for live secrets costs, per KiB of what passes:
//! `cargo run --release -p tagout-inspect --example live_cost`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
use std::{hint::black_box, time::Instant};

use tagout_inspect::live::Live;
use tagout_proto::{Document, Limits};

/// Bytes of each text.
const SIZE: usize = 1 << 20;
const ROUNDS: u32 = 16;

fn main() {
    let values: Vec<(String, String)> = (0..64_u64)
        .map(|n| {
            let value = format!("sk_live_{:016x}{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n);
            (format!("secret-{n}"), value)
        })
        .collect();
    let plain = r#"{"text":"The load of the grid on Tuesday was 4,815 MW at its peak.","n":16},"#;
    let escaped = r#"{"text":"\u00dcber \"quotes\"\nlines and https:\/\/example.com\/a%20b%2Fc"},"#;
    println!("values  text     us per KiB");
    for count in [1, 8, 64] {
        let chosen = values.iter().take(count);
        let live = Live::new(chosen.map(|(name, value)| (name.as_str(), value.as_str())));
        for (kind, unit) in [("plain", plain), ("escaped", escaped)] {
            let body = unit.repeat(SIZE / unit.len());
            let json = format!("[{}]", body.trim_end_matches(','));
            let limits = Limits { frame_bytes: 2 * SIZE, ..Limits::default() };
            let Ok(document) = Document::read(json.as_bytes(), limits) else { continue };
            // The fastest of all: what else the machine does is not to be measured.
            let rounds = (0..ROUNDS).map(|_| {
                let start = Instant::now();
                black_box(live.cleaned_json(black_box(document.root())));
                start.elapsed().as_secs_f64()
            });
            let micros = rounds.fold(f64::INFINITY, f64::min) * 1e6;
            let kib = f64::from(u32::try_from(json.len()).unwrap_or(1)) / 1024.0;
            println!("{count:6}  {kind:8} {:.3}", micros / kib);
        }
    }
}
