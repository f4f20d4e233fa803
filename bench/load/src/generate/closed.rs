//! The closed loop: each answer is followed by the next call. It finds what a system can do at most.

use std::sync::Arc;

use anyhow::Result;
use tokio::{task::JoinSet, time::Instant};

use super::{Client, Plan, Record};
use crate::payload::Ids;

/// Goes on until it is dropped, or a call goes wrong.
pub async fn run(clients: Vec<Client>, plan: Arc<Plan>, record: Arc<Record>) -> Result<()> {
    let mut calls = JoinSet::new();
    for mut client in clients {
        let (plan, record) = (Arc::clone(&plan), Arc::clone(&record));
        calls.spawn(async move {
            let mut ids = Ids::new();
            loop {
                let id = plan.job_id(&mut ids);
                let begin = Instant::now();
                client.call(&id).await?;
                record.add(begin.elapsed());
            }
        });
    }
    match calls.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}
