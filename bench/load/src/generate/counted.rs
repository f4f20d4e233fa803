//! So many calls and no more, one after another.

use anyhow::{Context as _, Result};

use super::{Client, Plan};
use crate::payload::Ids;

pub async fn run(clients: Vec<Client>, plan: &Plan, calls: u64) -> Result<()> {
    let mut client = clients.into_iter().next().context("no connection")?;
    let mut ids = Ids::new();
    for _ in 0..calls {
        client.call(&plan.job_id(&mut ids)).await?;
    }
    Ok(())
}
