//! An end with many watching: how soon they know, and how soon it is over.

use tokio::{sync::mpsc, time::Instant};

use crate::{
    client::{connect, told, watch},
    gateway::Gateway,
    quantile,
    upstream::{Reply, serve},
};

const WATCHERS: usize = 1_000;
const CONNECTIONS: usize = 20;
const JOBS: usize = 100;

pub(crate) async fn run() {
    println!("{WATCHERS} watchers of {JOBS} jobs on {CONNECTIONS} connections, then SIGTERM\n");
    println!("| flags | first told | p50 | last told | process ended | told |");
    println!("|---|---|---|---|---|---|");
    for (name, flags) in [("defaults", &[][..]), ("`--drain-delay off`", &["--drain-delay", "off"])]
    {
        measure(name, flags).await;
    }
}

async fn measure(name: &str, flags: &[&str]) {
    let upstream = serve(|_| Reply::Job("RUNNING", 0, std::time::Duration::ZERO)).await;
    let mut gateway = Gateway::start(upstream, flags);
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(connect(gateway.address).await);
    }
    let (ended, mut ends) = mpsc::unbounded_channel();
    for watcher in 0..WATCHERS {
        let channel = &channels[watcher % CONNECTIONS];
        let mut stream = watch(channel, format!("j{}", watcher % JOBS), "bench").await.unwrap();
        assert!(stream.message().await.unwrap().is_some());
        let ended = ended.clone();
        tokio::spawn(async move {
            loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break ended.send((Instant::now(), "OK".to_owned())),
                    Err(status) => break ended.send((Instant::now(), told(&status))),
                }
            }
        });
    }
    let begun = Instant::now();
    gateway.terminate();
    let over = gateway.ended();
    let told = async {
        let mut all = Vec::new();
        for _ in 0..WATCHERS {
            all.push(ends.recv().await.unwrap());
        }
        all
    };
    let (over, all) = futures_util::future::join(over, told).await;
    let mut times: Vec<_> = all.iter().map(|(at, _)| *at - begun).collect();
    times.sort_unstable();
    let mut kinds: Vec<_> = all.into_iter().map(|(_, kind)| kind).collect();
    kinds.sort_unstable();
    let kinds: Vec<_> =
        kinds.chunk_by(|a, b| a == b).map(|same| format!("{} {}", same.len(), same[0])).collect();
    println!(
        "| {name} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms | {} |",
        quantile(&times, 0.0),
        quantile(&times, 0.5),
        quantile(&times, 1.0),
        (over - begun).as_secs_f64() * 1e3,
        kinds.join("; ")
    );
}
