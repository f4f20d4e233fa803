//! Histories of watches, checked: many watchers of many jobs under a paused clock, with an upstream
//! that fails, throttles and dawdles, watchers that are slow, leave and come back, and a gateway
//! that drains. Everything that a watcher was told is written down and held against the rules.
//!
//! A paused clock on one thread, rather than simulated sockets: what could go wrong here is order
//! and time, both of which the watches take from tokio alone. A run is its seed.

mod rules;
mod viewer;
mod world;

use std::{env, num::ParseIntError, thread, time::Duration};

use fastrand::Rng;
use jobgate::watch::{Config, Watches};
use tokio::time::sleep;

use self::{
    viewer::{Outcome, Viewer},
    world::World,
};

/// How many histories are checked unless `JOBGATE_SEEDS` says otherwise.
const SEEDS: u64 = 1000;

/// How long new viewers keep coming.
const COMING: Duration = Duration::from_mins(4);

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error: ParseIntError| panic!("{name}: {error}")))
}

#[test]
fn every_history_keeps_the_rules() {
    if let Some(seed) = variable("JOBGATE_SEED") {
        return run(seed);
    }
    let seeds = variable("JOBGATE_SEEDS").unwrap_or(SEEDS);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for first in (0..seeds).take(threads) {
            scope.spawn(move || {
                for seed in (first..seeds).step_by(threads) {
                    let result = std::panic::catch_unwind(|| run(seed));
                    assert!(
                        result.is_ok(),
                        "to see this again: JOBGATE_SEED={seed} cargo test --test it history"
                    );
                }
            });
        }
    });
}

/// Lives through one history and checks it.
fn run(seed: u64) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(live(seed));
}

async fn live(seed: u64) {
    // What the library draws lots for on this thread.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let config = Config {
        heartbeat: Duration::from_secs(20),
        max_watches: rng.usize(10..60),
        max_age: Duration::from_mins(rng.u64(1..8)),
        patience: Duration::from_secs(rng.u64(10..90)),
        poll_min: Duration::from_millis(rng.u64(500..3000)),
        poll_max: Duration::from_secs(rng.u64(2..16)),
    };
    let world = World::new(&mut rng);
    let watches = Watches::new(config, world.clone(), world::view);

    let viewers = rng.usize(3..40);
    let mut tasks = Vec::new();
    for _ in 0..viewers {
        let viewer = Viewer::new(&mut rng, &world, COMING);
        tasks.push(tokio::spawn(viewer.live(watches.clone(), world.clone())));
    }
    let drains = rng.u8(..4) == 0;
    if drains {
        sleep(COMING.mul_f64(rng.f64())).await;
        watches.drain();
        world.drained();
    }
    let mut histories = Vec::new();
    for task in tasks {
        histories.push(task.await.unwrap());
    }
    let drained = histories.iter().flatten().any(|it| matches!(it.outcome, Outcome::Drained));
    assert!(drains || !drained, "a drain that was none");
    for history in histories.iter().flatten() {
        rules::check(history, &config, &world);
    }
    for visits in &histories {
        rules::check_in_a_row(visits);
    }

    // Nobody watches: nothing is asked any more, and every seat is free.
    let polls = world.polls();
    sleep(Duration::from_mins(2)).await;
    assert_eq!(world.polls(), polls, "polls for nobody");
    assert_eq!(world.under_way(), 0, "a poll that was not dropped");
}
