//! The load: calls that each ask for another job, and whose every answer is checked.

mod answer;
mod closed;
mod counted;
mod grpc;
mod open;
mod record;
mod rest;

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde_json::json;
use tokio::time::Instant;

use self::{grpc::Grpc, record::Record, rest::Rest};
use crate::{
    dial,
    payload::{Ids, Payload},
    process,
};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    target: SocketAddr,
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,
    /// Of gRPC; with REST there are as many as these times the streams
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Calls at a time on each connection; with a rate, at most
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// Calls per second whatever the answers take; without it, each answer is followed by a call
    #[arg(long)]
    rate: Option<f64>,
    /// So many calls, one after another, and no figures: what they cost is counted from outside
    #[arg(long, conflicts_with = "rate")]
    calls: Option<u64>,
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Of each job
    #[arg(long, default_value_t = 0)]
    sub_jobs: u32,
    /// Ask for jobs that are not there
    #[arg(long)]
    missing: bool,
    /// Ask for one and the same job
    #[arg(long)]
    same: bool,
    /// What calls have to end with: a gRPC code, or the HTTP status
    #[arg(long)]
    status: u16,
    /// The process to be measured
    #[arg(long)]
    pid: u32,
    /// Of the upstream, to see whether it and this process were the limit
    #[arg(long)]
    upstream_pid: u32,
    /// TLS, with this certificate trusted
    #[arg(long)]
    ca: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Grpc,
    Rest,
}

/// What all calls of a run have in common.
pub struct Plan {
    payload: Payload,
    status: u16,
    /// Asked for by all, if there is one.
    same: Option<String>,
}

/// One way to call; a connection, or a part in one.
enum Client {
    Grpc(Grpc),
    Rest(Rest),
}

/// What the process has used, and when.
struct Mark {
    at: Instant,
    /// CPU time, in seconds.
    server: f64,
    upstream: f64,
    own: f64,
}

pub async fn run(args: Args) -> Result<()> {
    // Timers to the microsecond: the default may add fifty. Inherited by later threads.
    fs::write("/proc/self/timerslack_ns", "1")?;
    let payload =
        if args.missing { Payload::Missing } else { Payload::Job { sub_jobs: args.sub_jobs } };
    let same = args.same.then(|| Ids::new().next());
    let plan = Arc::new(Plan { payload, status: args.status, same });
    let record = Arc::new(Record::default());
    let clients = args.connect(&plan).await?;
    if let Some(calls) = args.calls {
        return counted::run(clients, &plan, calls).await;
    }

    let load = match args.rate {
        None => tokio::spawn(closed::run(clients, Arc::clone(&plan), Arc::clone(&record))),
        Some(rate) => {
            tokio::spawn(open::run(clients, rate, Arc::clone(&plan), Arc::clone(&record)))
        }
    };
    let measured = async {
        tokio::time::sleep(Duration::from_secs_f64(args.warm_up)).await;
        record.begin();
        let from = Mark::now(&args)?;
        tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
        let to = Mark::now(&args)?;
        record.end();
        anyhow::Ok((from, to))
    };
    let (from, to) = tokio::select! {
        measured = measured => measured?,
        ended = load => { ended??; anyhow::bail!("the load ended by itself") }
    };
    report(args.pid, &record, &from, &to)
}

fn report(pid: u32, record: &Record, from: &Mark, to: &Mark) -> Result<()> {
    let (calls, times) = record.taken();
    ensure!(calls > 0, "no call was answered");
    let wall = (to.at - from.at).as_secs_f64();
    let server = to.server - from.server;
    let us = |part: f64| times.value_at_quantile(part) as f64 / 1e3;
    let report = json!({
        "calls": calls,
        "seconds": wall,
        "calls_per_second": calls as f64 / wall,
        "cpu_us_per_call": server * 1e6 / calls as f64,
        "server_cores": server / wall,
        "upstream_cores": (to.upstream - from.upstream) / wall,
        "generator_cores": (to.own - from.own) / wall,
        "rss_kib": process::memory_kib(pid, "VmRSS")?,
        "rss_peak_kib": process::memory_kib(pid, "VmHWM")?,
        "latency_us": {
            "mean": times.mean() / 1e3,
            "p50": us(0.5), "p99": us(0.99), "p999": us(0.999),
            "max": times.max() as f64 / 1e3,
        },
    });
    println!("{report}");
    Ok(())
}

// === impl Args ===

impl Args {
    /// A client for each call that can be under way, those of one connection far apart: the open
    /// loop takes them in this order.
    async fn connect(&self, plan: &Arc<Plan>) -> Result<Vec<Client>> {
        match self.protocol {
            Protocol::Grpc => {
                let tls = self.ca.as_deref().map(dial::tls).transpose()?;
                let mut clients = Vec::new();
                for _ in 0..self.connections {
                    clients.push(Grpc::connect(self.target, tls.as_ref(), plan).await?);
                }
                let all = clients.iter().cycle().take(self.connections * self.streams);
                Ok(all.cloned().map(Client::Grpc).collect())
            }
            Protocol::Rest => {
                let mut clients = Vec::new();
                for _ in 0..self.connections * self.streams {
                    clients.push(Client::Rest(Rest::connect(self.target, plan).await?));
                }
                Ok(clients)
            }
        }
    }
}

// === impl Client ===

impl Client {
    /// Calls, and checks the answer.
    async fn call(&mut self, job_id: &str) -> Result<()> {
        match self {
            Self::Grpc(grpc) => grpc.call(job_id).await,
            Self::Rest(rest) => rest.call(job_id).await,
        }
    }
}

// === impl Plan ===

impl Plan {
    fn job_id(&self, ids: &mut Ids) -> String {
        self.same.clone().unwrap_or_else(|| ids.next())
    }
}

// === impl Mark ===

impl Mark {
    fn now(args: &Args) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            server: process::cpu(args.pid)?,
            upstream: process::cpu(args.upstream_pid)?,
            own: process::cpu(std::process::id())?,
        })
    }
}
