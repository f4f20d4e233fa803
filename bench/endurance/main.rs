//! What the gateway bears: more calls than it can serve, an end with many watching, hours of trouble.
//!
//! `cargo bench --bench endurance -- overload`, `-- drain` or `-- soak [MINUTES]`. The upstream and
//! all clients are in this process, the gateway is a process of its own, with its own defaults but
//! for what each part names. Linux only: memory and CPU time come from `/proc`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod client;
mod drain;
mod frames;
mod gateway;
mod overload;
mod soak;
mod upstream;

use std::time::Duration;

fn main() {
    // `cargo bench` adds a flag of its own.
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match &*args.iter().map(String::as_str).collect::<Vec<_>>() {
        ["overload"] => runtime.block_on(overload::run("")),
        ["overload", part] => runtime.block_on(overload::run(part)),
        ["drain"] => runtime.block_on(drain::run()),
        ["soak"] => runtime.block_on(soak::run(Duration::from_mins(30))),
        ["soak", minutes] => {
            runtime.block_on(soak::run(Duration::from_mins(minutes.parse().unwrap())));
        }
        _ => println!("one of: overload [CASE], drain, soak [MINUTES]"),
    }
}

/// A time of all times, by its place among them, in milliseconds.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1)) as f64 * part;
    sorted.get(place as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
