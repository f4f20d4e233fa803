//! Watchers: what they cost the upstream and the gateway, and how soon they know of a change.

mod upstream;
mod watcher;

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use self::{upstream::Upstream, watcher::Watcher};
use crate::{grpc::Connection, process};

#[derive(clap::Args)]
pub struct Args {
    /// The gateway
    #[arg(long)]
    target: SocketAddr,
    /// Its process
    #[arg(long)]
    pid: u32,
    /// Where the upstream is to be, which the gateway asks
    #[arg(long)]
    upstream: SocketAddr,
    #[arg(long)]
    watchers: usize,
    /// That they watch, by turns
    #[arg(long)]
    jobs: usize,
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// How often the gateway polls, in seconds
    #[arg(long, default_value_t = 1.0)]
    interval: f64,
    /// How long nothing changes, in seconds; by default as long as a heartbeat takes to come
    #[arg(long, default_value_t = 20.0)]
    idle: f64,
    #[arg(long, default_value_t = 10)]
    changes: u32,
}

/// A watcher has a version of its job.
struct Seen {
    job: usize,
    version: u32,
    at: Instant,
}

/// How long it took until watchers knew.
#[derive(Default)]
struct Delays {
    from_change: Vec<Duration>,
    from_answer: Vec<Duration>,
    /// Until the last watcher of a job did, for each job and change.
    to_last: Vec<Duration>,
}

pub async fn run(args: Args) -> Result<()> {
    let upstream = Arc::new(Upstream::default());
    tokio::spawn(upstream::serve(Arc::clone(&upstream), args.upstream));
    let (told, mut seen) = mpsc::unbounded_channel();
    let mut connections = Vec::new();
    for _ in 0..args.connections {
        connections.push(Connection::open(args.target, None, "WatchJob").await?);
    }
    // One watch and its end, so that nothing is counted that only the first one costs.
    let first = Watcher::open(&mut connections[0], 0).await?;
    drop(first);
    tokio::time::sleep(Duration::from_secs_f64(args.interval)).await;
    let empty = process::memory_kib(args.pid, "VmRSS")?;

    for number in 0..args.watchers {
        let connection = &mut connections[number % args.connections];
        let watcher = Watcher::open(connection, number % args.jobs).await?;
        tokio::spawn(watcher.tell(told.clone()));
    }
    for _ in 0..args.watchers {
        seen.recv().await.context("no watchers")?;
    }
    tokio::time::sleep(Duration::from_secs_f64(2.0 * args.interval)).await;

    let (calls, cpu) = (upstream.calls(), process::cpu(args.pid)?);
    tokio::time::sleep(Duration::from_secs_f64(args.idle)).await;
    let calls = upstream.calls() - calls;
    let idle = (process::cpu(args.pid)? - cpu) / args.idle;
    let full = process::memory_kib(args.pid, "VmRSS")?;

    let cpu = process::cpu(args.pid)?;
    let mut delays = Delays::default();
    for version in 1..=args.changes {
        change(&upstream, version, args.watchers, &mut seen, &mut delays).await?;
    }
    let events = f64::from(args.changes) * args.watchers as f64;
    let report = json!({
        "watchers": args.watchers,
        "jobs": args.jobs,
        "connections": args.connections,
        "rss_empty_kib": empty,
        "rss_kib": full,
        "kib_per_watcher": (full as f64 - empty as f64) / args.watchers as f64,
        "upstream_calls_per_interval": calls as f64 / (args.idle / args.interval),
        "idle_cores": idle,
        "cpu_us_per_event": (process::cpu(args.pid)? - cpu) * 1e6 / events,
        "ms_from_change": quantiles(delays.from_change),
        "ms_from_answer": quantiles(delays.from_answer),
        "ms_from_answer_to_last": quantiles(delays.to_last),
    });
    println!("{report}");
    Ok(())
}

/// Changes all jobs, and waits until all watchers know.
async fn change(
    upstream: &Upstream,
    version: u32,
    watchers: usize,
    seen: &mut mpsc::UnboundedReceiver<Seen>,
    delays: &mut Delays,
) -> Result<()> {
    let changed = Instant::now();
    upstream.change(version);
    let mut last = HashMap::new();
    for _ in 0..watchers {
        let Seen { job, version: got, at } = seen.recv().await.context("a watcher has ended")?;
        ensure!(got == version, "a watcher missed a state");
        let answered = upstream.answered(job, version).context("nobody asked")?;
        delays.from_change.push(at - changed);
        delays.from_answer.push(at - answered);
        let latest = last.entry(job).or_insert(Duration::ZERO);
        *latest = (at - answered).max(*latest);
    }
    delays.to_last.extend(last.into_values());
    Ok(())
}

fn quantiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
}
