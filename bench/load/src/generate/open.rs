//! The open loop: calls are made when it is time for them, whatever the others take.
//!
//! What a call takes is counted from when it should have been made, so a system that makes the
//! generator wait does not look better for it.

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::Instant,
};

use super::{Client, Plan, Record};
use crate::payload::Ids;

/// So many calls that nobody has begun mean that the rate is more than the system can do.
const TOO_MANY: usize = 10_000;

type Due = mpsc::UnboundedReceiver<Instant>;

/// Goes on until it is dropped, or a call goes wrong.
pub async fn run(
    clients: Vec<Client>,
    rate: f64,
    plan: Arc<Plan>,
    record: Arc<Record>,
) -> Result<()> {
    // tokio's own timers have steps of a millisecond.
    let (send, due) = mpsc::unbounded_channel();
    thread::spawn(move || clock(rate, &send));
    // A lock of tokio's is given in the order of asking, so clients and connections take turns.
    let due = Arc::new(Mutex::new(due));
    let mut calls = JoinSet::new();
    for client in clients {
        calls.spawn(calls_of(client, Arc::clone(&due), Arc::clone(&plan), Arc::clone(&record)));
    }
    calls.join_next().await.context("no clients")??
}

async fn calls_of(
    mut client: Client,
    due: Arc<Mutex<Due>>,
    plan: Arc<Plan>,
    record: Arc<Record>,
) -> Result<()> {
    let mut ids = Ids::new();
    loop {
        let intended = {
            let mut due = due.lock().await;
            ensure!(due.len() < TOO_MANY, "the rate is more than the system can do");
            due.recv().await.context("the clock has stopped")?
        };
        client.call(&plan.job_id(&mut ids)).await?;
        record.add(intended.elapsed());
    }
}

fn clock(rate: f64, due: &mpsc::UnboundedSender<Instant>) {
    let begin = Instant::now();
    for made in 0_u32.. {
        let intended = begin + Duration::from_secs_f64(f64::from(made) / rate);
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        if due.send(intended).is_err() {
            return;
        }
    }
}
