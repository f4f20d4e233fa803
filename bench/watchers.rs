//! Ten thousand watchers: what they cost the upstream and the gateway, and how soon they know.
//!
//! `cargo bench --bench watchers [-- WATCHERS]` runs an upstream and all watchers in this process
//! and the gateway as a process of its own, with its own defaults but for a fixed poll interval.
//! Linux only: memory and CPU time come from `/proc`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Path, routing::get};
use jobgate::proto::v1::{
    WatchJobRequest, job_service_client::JobServiceClient, watch_job_response::Event,
};
use tokio::{net::TcpListener, sync::mpsc, time::Instant};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

const INTERVAL: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(20);
const ROUNDS: usize = 20;
const CONNECTIONS: usize = 100;

/// The upstream: every job is the same, and changes when told.
#[derive(Default)]
struct Upstream {
    version: AtomicUsize,
    calls: AtomicUsize,
    /// When a version of a job was first answered.
    answered: Mutex<HashMap<(usize, usize), Instant>>,
}

/// A watcher has a version of its job.
struct Seen {
    job: usize,
    version: usize,
    at: Instant,
}

struct Gateway {
    process: Child,
    address: SocketAddr,
}

fn main() {
    // `cargo bench` adds a flag of its own.
    let watchers = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for jobs in [1, watchers.min(1_000)] {
        runtime.block_on(measure(watchers, jobs));
    }
}

async fn measure(watchers: usize, jobs: usize) {
    println!("\n{watchers} watchers of {jobs} job(s), {CONNECTIONS} connections");
    let upstream = Arc::new(Upstream::default());
    let gateway = Gateway::start(serve(Arc::clone(&upstream)).await);
    // One watch and its end, so that nothing is counted that only the first one costs.
    let channels = connect(gateway.address).await;
    drop(watch(&channels[0], 0).await);
    tokio::time::sleep(INTERVAL).await;
    let empty = gateway.rss_kib();

    let (told, mut seen) = mpsc::channel(1024);
    for watcher in 0..watchers {
        let job = watcher % jobs;
        let mut stream = watch(&channels[watcher % channels.len()], job).await;
        let told = told.clone();
        tokio::spawn(async move {
            while let Ok(Some(response)) = stream.message().await {
                let at = Instant::now();
                if let Some(Event::Job(it)) = response.event {
                    let version = it.entities["version"].parse().unwrap();
                    let _ = told.send(Seen { job, version, at }).await;
                }
            }
        });
    }
    for _ in 0..watchers {
        seen.recv().await.unwrap();
    }
    tokio::time::sleep(2 * INTERVAL).await;

    let (calls, cpu) = (upstream.calls.load(Ordering::Relaxed), gateway.cpu());
    tokio::time::sleep(IDLE).await;
    let calls = upstream.calls.load(Ordering::Relaxed) - calls;
    let intervals = IDLE.as_secs_f64() / INTERVAL.as_secs_f64();
    println!("  upstream calls per interval, idle: {:.1}", calls as f64 / intervals);
    println!(
        "  CPU while idle: {:.1} % of a core",
        (gateway.cpu() - cpu) / IDLE.as_secs_f64() * 100.0
    );
    let rss = gateway.rss_kib();
    let each = (rss as f64 - empty as f64) / watchers as f64;
    println!("  RSS: {empty} KiB without watchers, {rss} KiB with; {each:.2} KiB for each");

    let cpu = gateway.cpu();
    let (mut since_change, mut since_answer, mut spreads) = (Vec::new(), Vec::new(), Vec::new());
    for version in 1..=ROUNDS {
        let changed = Instant::now();
        upstream.version.store(version, Ordering::SeqCst);
        let mut last = HashMap::new();
        for _ in 0..watchers {
            let Seen { job, version: got, at } = seen.recv().await.unwrap();
            assert_eq!(got, version, "a watcher missed a state");
            let answered = upstream.answered.lock().unwrap()[&(job, version)];
            since_change.push(at - changed);
            since_answer.push(at - answered);
            let spread = last.entry(job).or_insert(Duration::ZERO);
            *spread = (at - answered).max(*spread);
        }
        spreads.extend(last.into_values());
    }
    let cpu = (gateway.cpu() - cpu) * 1e6 / (ROUNDS * watchers) as f64;
    println!("  {ROUNDS} changes; CPU of the gateway for each event: {cpu:.1} µs");
    report("from the change to a watcher, polls included", since_change);
    report("from the upstream's answer to a watcher", since_answer);
    report("from the upstream's answer to a job's last watcher", spreads);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("  {what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), at(1.0));
}

async fn serve(upstream: Arc<Upstream>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let job = async move |Path(job): Path<usize>| {
        upstream.calls.fetch_add(1, Ordering::Relaxed);
        let version = upstream.version.load(Ordering::SeqCst);
        upstream.answered.lock().unwrap().entry((job, version)).or_insert_with(Instant::now);
        format!(
            r#"{{"status":"RUNNING","entities":{{"bks_create_volume_name":"autobk_volume",
            "backup_id":"ba5401a2-7cd2-4c01-8c0d-c936ab412d6d","version":"{version}",
            "volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
            "snapshot_id":"a77a96bf-dd18-40bf-a446-fdcefc1719ec"}},"job_id":"{job}",
            "job_type":"bksCreateBackup","begin_time":"2016-01-28T16:14:09.466Z","end_time":"",
            "error_code":null,"fail_reason":null}}"#
        )
    };
    let routes = Router::new().route("/v1/p/jobs/{job}", get(job));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn connect(gateway: SocketAddr) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{gateway}")).unwrap();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

async fn watch(
    channel: &Channel,
    job: usize,
) -> tonic::Streaming<jobgate::proto::v1::WatchJobResponse> {
    let message = WatchJobRequest {
        project_id: "p".to_owned(),
        job_id: job.to_string(),
        resume_token: String::new(),
    };
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-auth-token", "bench".parse().unwrap());
    JobServiceClient::new(channel.clone()).watch_job(request).await.unwrap().into_inner()
}

// === impl Gateway ===

impl Gateway {
    fn start(upstream: SocketAddr) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_jobgate"))
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"])
            .args(["--poll-min", "1s", "--poll-max", "1s", "--log-format", "json"])
            .args(["--upstream", &format!("http://{upstream}")])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"serving\"") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the gateway did not start");
        }
        std::thread::spawn(move || log.lines().for_each(drop));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { process, address: line["grpc"].as_str().unwrap().parse().unwrap() }
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }

    fn rss_kib(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// CPU time so far, in seconds; the kernel counts in hundredths.
    fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        ticks / 100.0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
