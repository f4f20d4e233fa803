//! A `GetJob`, and whether its answer is the right one.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use tokio_rustls::TlsConnector;

use super::{Plan, answer};
use crate::{
    grpc::{Connection, status},
    payload::Payload,
    proto::v1::GetJobRequest,
};

#[derive(Clone)]
pub struct Grpc {
    connection: Connection,
    project: String,
    plan: Arc<Plan>,
}

// === impl Grpc ===

impl Grpc {
    pub async fn connect(
        target: SocketAddr,
        tls: Option<&TlsConnector>,
        plan: &Arc<Plan>,
    ) -> Result<Self> {
        let mut connection = Connection::open(target, tls, "GetJob").await?;
        connection.set_deadline("10S");
        let project = plan.payload.project();
        Ok(Self { connection, project, plan: Arc::clone(plan) })
    }

    pub async fn call(&mut self, job_id: &str) -> Result<()> {
        let request = GetJobRequest { project_id: self.project.clone(), job_id: job_id.to_owned() };
        let response = self.connection.call(&request).await?.await?;
        ensure!(response.status().is_success(), "HTTP {}", response.status());
        let at_once = status(response.headers())?;
        let mut body = response.into_body();
        let message = read(&mut body).await?;
        let (status, text) = if let Some(at_once) = at_once {
            at_once
        } else {
            let trailers = body.trailers().await?.context("no trailers")?;
            status(&trailers)?.context("no grpc-status")?
        };
        let expected = self.plan.status;
        ensure!(status == expected, "code {status} and not {expected}: {text}");
        match self.plan.payload {
            Payload::Job { sub_jobs } => answer::check(&message, job_id, sub_jobs),
            Payload::Missing => Ok(()),
        }
    }
}

/// Most answers come in one piece, which is then not copied.
async fn read(body: &mut RecvStream) -> Result<Bytes> {
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if whole.is_empty() && pieces.is_empty() {
            whole = piece;
        } else {
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&piece);
        }
    }
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
}
