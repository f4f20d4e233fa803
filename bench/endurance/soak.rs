//! Trouble of all kinds for long: whether memory, tasks, connections and files stay as they are.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};
use tonic::transport::Channel;

use crate::{
    client::{connect, get, watch},
    gateway::Gateway,
    upstream::{Reply, serve},
};

const SAMPLES: Duration = Duration::from_secs(10);

/// How often the upstream is gone, and for how long. Not at the same second of each minute, as
/// minutes are looked at.
const OUTAGES: Duration = Duration::from_secs(67);
const OUTAGE: Duration = Duration::from_secs(8);

/// A job has ended this often, and begins anew.
const LIFE: u64 = 45;

const CALLS_PER_SECOND: u64 = 100;
const WATCHERS: u64 = 150;
const SLOW_READERS: u64 = 20;

/// What is looked at, and has to be zero in the end but for the first two.
const GAUGES: [&str; 8] = [
    "jobgate_tasks",
    "process_open_fds",
    "jobgate_connections",
    "jobgate_streams",
    "jobgate_watchers",
    "jobgate_pollers",
    "jobgate_calls_served",
    "jobgate_calls_waiting",
];

/// What there was at a time.
struct Sample {
    minutes: f64,
    rss: f64,
    gauges: Vec<f64>,
}

pub(crate) async fn run(time: Duration) {
    let begun = Instant::now();
    let upstream = serve(move |job| reply(job, begun.elapsed())).await;
    let gateway = Gateway::start(upstream, &["--poll-min", "1s", "--poll-max", "4s"]);
    let channel = connect(gateway.address).await;
    drop(get(&channel, "good".to_owned(), "t0", Duration::from_secs(5)).await);
    drop(channel);
    sleep(Duration::from_secs(1)).await;
    let empty = sample(&gateway, begun).await;

    let mut load = JoinSet::new();
    let made = Arc::new(AtomicU64::new(0));
    load.spawn(call(gateway.address, Arc::clone(&made)));
    load.spawn(cut(gateway.address));
    for watcher in 0..WATCHERS + SLOW_READERS {
        load.spawn(follow(gateway.address, watcher, watcher >= WATCHERS));
    }
    let mut samples = Vec::new();
    let mut tick = interval(SAMPLES);
    while begun.elapsed() < time {
        tick.tick().await;
        samples.push(sample(&gateway, begun).await);
    }
    let metrics = gateway.metrics().await;
    load.shutdown().await;
    let rest = at_rest(&gateway, begun, &empty).await;
    report(&samples, &empty, &rest, &metrics, made.load(Ordering::Relaxed), gateway.cpu());
}

fn reply(job: &str, time: Duration) -> Reply {
    let kind = job.split('-').next().unwrap_or_default();
    // The last seconds of each while.
    if time.as_secs() % OUTAGES.as_secs() + OUTAGE.as_secs() >= OUTAGES.as_secs() {
        return Reply::Close;
    }
    match kind {
        "slow" => Reply::Job("RUNNING", 0, Duration::from_millis(700)),
        "unknown" => Reply::Error(404),
        "throttled" => Reply::Error(429),
        "broken" => Reply::Error(500),
        "down" if fastrand::u8(..) < 128 => Reply::Error(503),
        "cut" if fastrand::u8(..) < 128 => Reply::Cut,
        "closed" if fastrand::u8(..) < 128 => Reply::Close,
        "watched" => {
            let number = job.rsplit('-').next().and_then(|it| it.parse().ok()).unwrap_or(0_u64);
            let age = (time.as_secs() + number) % LIFE;
            let status = if age == LIFE - 1 { "SUCCESS" } else { "RUNNING" };
            match fastrand::u8(..) {
                0..8 => Reply::Cut,
                8..16 => Reply::Error(503),
                _ => Reply::Job(status, age / 5, Duration::from_millis(5)),
            }
        }
        _ => Reply::Job("RUNNING", 0, Duration::from_millis(5)),
    }
}

/// Calls of all kinds, some of which their callers do not wait for.
async fn call(gateway: SocketAddr, made: Arc<AtomicU64>) {
    const KINDS: [&str; 10] =
        ["good", "good", "good", "good", "slow", "unknown", "broken", "down", "cut", "closed"];

    let mut channels = Vec::new();
    for _ in 0..4 {
        channels.push(connect(gateway).await);
    }
    let mut calls = JoinSet::new();
    let mut tick = interval(Duration::from_micros(1_000_000 / CALLS_PER_SECOND));
    loop {
        tick.tick().await;
        let number = made.fetch_add(1, Ordering::Relaxed);
        let channel = channels[fastrand::usize(..channels.len())].clone();
        calls.spawn(async move {
            let (kind, token) = match number % 50 {
                // Throttled with a token of its own: what is held back is held back for a token.
                0 => ("throttled", "t-throttled".to_owned()),
                1 => ("not an id", "t1".to_owned()),
                // A caller that comes once.
                2 => ("good", format!("once-{number}")),
                _ => (KINDS[fastrand::usize(..KINDS.len())], format!("t{}", number % 5)),
            };
            let job =
                if number.is_multiple_of(3) { kind.to_owned() } else { format!("{kind}-{number}") };
            let patience = if number.is_multiple_of(7) { 20 } else { 5_000 };
            let call = get(&channel, job, &token, Duration::from_millis(patience));
            if number.is_multiple_of(11) {
                // Taken back, sooner or later.
                drop(timeout(Duration::from_millis(fastrand::u64(..12)), call).await);
            } else {
                drop(call.await);
            }
        });
        while calls.try_join_next().is_some() {}
    }
}

/// Connections that are cut in the middle of a call, or of nothing.
async fn cut(gateway: SocketAddr) {
    loop {
        if let Ok(mut raw) = TcpStream::connect(gateway).await {
            let _ = raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
            sleep(Duration::from_millis(fastrand::u64(..100))).await;
        }
        let channel = connect(gateway).await;
        let call = get(&channel, "slow".to_owned(), "t0", Duration::from_secs(5));
        drop(timeout(Duration::from_millis(100), call).await);
        sleep(Duration::from_millis(300)).await;
    }
}

/// Watches, one after the other, on old connections and on new ones; some hardly read.
async fn follow(gateway: SocketAddr, watcher: u64, slow: bool) {
    let mut channel: Option<Channel> = None;
    let mut number = watcher;
    loop {
        number += 7;
        let on = match channel.take() {
            Some(channel) if fastrand::u8(..) < 192 => channel,
            _ => connect(gateway).await,
        };
        let life = Duration::from_secs(fastrand::u64(2..60));
        let watching = async {
            let job = format!("watched-{}", number % 40);
            let mut stream = watch(&on, job, &format!("t{}", number % 5)).await?;
            while stream.message().await?.is_some() {
                if slow {
                    sleep(Duration::from_secs(10)).await;
                }
            }
            Ok::<_, tonic::Status>(())
        };
        if let Ok(Err(_)) = timeout(life, watching).await {
            // As a client waits before it comes back.
            sleep(Duration::from_millis(fastrand::u64(500..2_000))).await;
        }
        channel = Some(on);
    }
}

async fn sample(gateway: &Gateway, begun: Instant) -> Sample {
    let metrics = gateway.metrics().await;
    let gauges = GAUGES.iter().map(|name| metrics[*name]).collect();
    Sample { minutes: begun.elapsed().as_secs_f64() / 60.0, rss: gateway.rss_mib(), gauges }
}

/// What is left when the clients have gone, and the upstream's connections have been idle for long.
async fn at_rest(gateway: &Gateway, begun: Instant, empty: &Sample) -> Sample {
    let stopped = Instant::now();
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = sample(gateway, begun).await;
        let quiet = now.gauges.iter().zip(&empty.gauges).all(|(now, empty)| now <= empty);
        if quiet || stopped.elapsed() > Duration::from_mins(2) {
            println!("at rest after {:.0} s: {quiet}", stopped.elapsed().as_secs_f64());
            return now;
        }
    }
}

fn report(
    samples: &[Sample],
    empty: &Sample,
    rest: &Sample,
    metrics: &HashMap<String, f64>,
    made: u64,
    cpu: f64,
) {
    let heads = GAUGES.map(|name| name.trim_start_matches("jobgate_").replace("process_", ""));
    println!("\n| minute | RSS MiB | {} |\n|---|---|{}", heads.join(" | "), "---|".repeat(8));
    let row = |name: &str, sample: &Sample| {
        let gauges: Vec<_> = sample.gauges.iter().map(|it| format!("{it:.0}")).collect();
        println!("| {name} | {:.1} | {} |", sample.rss, gauges.join(" | "));
    };
    row("before", empty);
    let last = samples.last().map_or(0.0, |sample| sample.minutes);
    let step = if last > 10.0 { 5.0 } else { 1.0 };
    let mut mark = 0.0;
    for sample in samples {
        if sample.minutes + 0.05 >= mark {
            row(&format!("{mark:.0}"), sample);
            mark += step;
        }
    }
    row("after", rest);
    // What comes first fills buffers and pools.
    let settled: Vec<_> = samples.iter().filter(|it| it.minutes > last / 3.0).collect();
    let (slope, mean) = trend(&settled);
    let grown = slope * last * 2.0 / 3.0;
    println!(
        "\nRSS in the last two thirds: {mean:.1} MiB on average, {slope:+.3} MiB per minute, so \
         {grown:+.1} MiB: {}",
        if grown < mean * 0.05 { "flat" } else { "NOT FLAT" }
    );
    let watches = metrics.get("jobgate_polls_total").copied().unwrap_or_default();
    let errors = metrics.get("jobgate_call_errors_total").copied().unwrap_or_default();
    let sent = metrics.get("http_client_request_duration_seconds_count").copied();
    let all = metrics.get("rpc_server_call_duration_seconds_count").copied().unwrap_or_default();
    println!(
        "{made} GetJobs made; {all:.0} calls and watches ended, {errors:.0} of them with an error; \
         {watches:.0} polls; {:.0} requests upstream; {cpu:.0} s of CPU time",
        sent.unwrap_or_default()
    );
}

/// The slope per minute and the mean, by least squares.
fn trend(samples: &[&Sample]) -> (f64, f64) {
    let count = samples.len().max(1) as f64;
    let minutes = samples.iter().map(|it| it.minutes).sum::<f64>() / count;
    let rss = samples.iter().map(|it| it.rss).sum::<f64>() / count;
    let both: f64 = samples.iter().map(|it| (it.minutes - minutes) * (it.rss - rss)).sum();
    let squares: f64 = samples.iter().map(|it| (it.minutes - minutes).powi(2)).sum();
    (if squares > 0.0 { both / squares } else { 0.0 }, rss)
}
