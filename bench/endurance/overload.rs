//! More calls than can be served: what is answered all the same, and how the rest is refused.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    client::{connect, get, told},
    frames::{DEADLINE, Outcomes, load},
    gateway::{Gateway, cpu},
    quantile,
    upstream::{Reply, serve},
};

const TIME: Duration = Duration::from_secs(20);

/// The time in which a step of the search for the capacity is tried.
const STEP: Duration = Duration::from_secs(4);

/// What is the limit, by which flags; how long the upstream takes; and a rate that is surely borne.
const CASES: [(&str, &[&str], Duration, f64); 4] = [
    ("`--max-calls 40`, 20 ms upstream", &["--max-calls", "40"], Duration::from_millis(20), 1e3),
    ("CPU, upstream at once", &[], Duration::ZERO, 4e3),
    ("CPU, `--max-calls 100`", &["--max-calls", "100"], Duration::ZERO, 4e3),
    ("CPU, `--max-streams 100`", &["--max-streams", "100"], Duration::ZERO, 4e3),
];

pub(crate) async fn run(part: &str) {
    println!(
        "One worker on a core of its own, an open loop for {TIME:?} on 8 connections, each call for \
         another job and with a second's deadline. CPU: of the gateway, and of all else here.\n"
    );
    println!(
        "| limit | capacity | offered | answered | in time | p50 | p99 | refused | p50 | p99 | unsent \
         | lost | CPU | refused as, of a sample |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (name, flags, wait, start) in CASES {
        if name.contains(part) {
            case(name, flags, wait, start).await;
        }
    }
}

async fn case(name: &str, flags: &[&str], wait: Duration, start: f64) {
    let upstream = serve(move |_| Reply::Job("RUNNING", 0, wait)).await;
    let flags = [&["--workers", "1"], flags].concat();
    let capacity = {
        let gateway = Gateway::start_apart(upstream, &flags);
        capacity(&gateway, start).await
    };
    for times in [1.0, 2.0] {
        let gateway = Gateway::start_apart(upstream, &flags);
        let sample = Sample::begin(&gateway).await;
        let (theirs, own, rate) = (gateway.cpu(), cpu(std::process::id()), capacity * times);
        let begun = Instant::now();
        let outcomes = load(gateway.address, rate, TIME).await;
        let percent = |now: f64, then| (now - then) / begun.elapsed().as_secs_f64() * 100.0;
        let used = [percent(gateway.cpu(), theirs), percent(cpu(std::process::id()), own)];
        row(name, capacity, rate, &outcomes, used, &sample.end());
    }
}

/// The highest rate, by halves, at which nearly all calls are answered within a fifth of a second.
async fn capacity(gateway: &Gateway, start: f64) -> f64 {
    let (mut good, mut rate) = (0.0, start);
    let mut bad = f64::INFINITY;
    while bad > good * 1.1 {
        let Outcomes { answered, refused, .. } = load(gateway.address, rate, STEP).await;
        let made = rate * STEP.as_secs_f64();
        let soon = answered.len() as f64 > made * 0.98 && quantile(&answered, 0.98) < 200.0;
        if refused.is_empty() && soon {
            good = rate;
        } else {
            bad = rate;
        }
        rate = if bad.is_finite() { f64::midpoint(good, bad) } else { rate * 2.0 };
    }
    good
}

fn row(name: &str, capacity: f64, rate: f64, outcomes: &Outcomes, cpu: [f64; 2], sample: &str) {
    let Outcomes { answered, refused, reset, unsent, open } = outcomes;
    let seconds = TIME.as_secs_f64();
    println!(
        "| {name} | {capacity:.0}/s | {rate:.0}/s | {:.0}/s | {:.0}/s | {:.1} ms | {:.1} ms | \
         {:.0}/s | {:.1} ms | {:.1} ms | {:.0}/s | {} | {:.0} %, {:.0} % | {sample} |",
        answered.len() as f64 / seconds,
        answered.iter().filter(|time| **time <= DEADLINE).count() as f64 / seconds,
        quantile(answered, 0.5),
        quantile(answered, 0.99),
        refused.len() as f64 / seconds,
        quantile(refused, 0.5),
        quantile(refused, 0.99),
        *unsent as f64 / seconds,
        reset + open,
        cpu[0],
        cpu[1],
    );
}

/// A client among the others, who reads what he is told.
struct Sample {
    task: tokio::task::JoinHandle<()>,
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
}

// === impl Sample ===

impl Sample {
    async fn begin(gateway: &Gateway) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);

        let channel = connect(gateway.address).await;
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let all = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                sleep(Duration::from_millis(20)).await;
                let (channel, all) = (channel.clone(), Arc::clone(&all));
                tokio::spawn(async move {
                    let job = format!("s{}", NUMBER.fetch_add(1, Ordering::Relaxed));
                    if let Err(status) = get(&channel, job, "bench", DEADLINE).await {
                        *all.lock().unwrap().entry(told(&status)).or_default() += 1;
                    }
                });
            }
        });
        Self { task, seen }
    }

    fn end(self) -> String {
        self.task.abort();
        let seen = self.seen.lock().unwrap();
        let all: Vec<_> = seen.iter().map(|(told, count)| format!("{count} {told}")).collect();
        if all.is_empty() { "none".to_owned() } else { all.join("; ") }
    }
}
