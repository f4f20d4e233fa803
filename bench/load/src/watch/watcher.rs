//! One watch: it tells of each version of its job.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use h2::RecvStream;
use prost::Message as _;
use tokio::{sync::mpsc, time::Instant};

use super::Seen;
use crate::{
    grpc::{Connection, status},
    proto::v1::{WatchJobRequest, WatchJobResponse, watch_job_response::Event},
};

pub struct Watcher {
    job: usize,
    body: RecvStream,
    /// What has come of a message that is not whole.
    rest: BytesMut,
}

// === impl Watcher ===

impl Watcher {
    /// Waits for the beginning of the answer, so that not all begin at once.
    pub async fn open(connection: &mut Connection, job: usize) -> Result<Self> {
        let request = WatchJobRequest {
            project_id: "p".to_owned(),
            job_id: job.to_string(),
            resume_token: String::new(),
        };
        let response = connection.call(&request).await?.await?;
        if let Some((code, text)) = status(response.headers())? {
            bail!("code {code}: {text}");
        }
        Ok(Self { job, body: response.into_body(), rest: BytesMut::new() })
    }

    /// Until the stream ends, or there is nobody to be told.
    pub async fn tell(mut self, told: mpsc::UnboundedSender<Seen>) -> Result<()> {
        loop {
            let message = self.next().await?;
            let at = Instant::now();
            let Some(Event::Job(job)) = WatchJobResponse::decode(message)?.event else { continue };
            let version = job.entities.get("version").context("no version")?.parse()?;
            told.send(Seen { job: self.job, version, at })?;
        }
    }

    async fn next(&mut self) -> Result<Bytes> {
        loop {
            if let Some(head) = self.rest.first_chunk::<5>() {
                ensure!(head[0] == 0, "compressed");
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if self.rest.len() >= 5 + length {
                    self.rest.advance(5);
                    return Ok(self.rest.split_to(length).freeze());
                }
            }
            let piece = self.body.data().await.context("the watch has ended")??;
            self.body.flow_control().release_capacity(piece.len())?;
            self.rest.extend_from_slice(&piece);
        }
    }
}
