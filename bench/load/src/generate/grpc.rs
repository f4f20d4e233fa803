//! A `GetJob` by the HTTP/2 library alone: what a gRPC library would do besides is not measured here.

use std::{future::poll_fn, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use prost::Message as _;
use tokio_rustls::TlsConnector;

use super::{Plan, answer, dial::dial};
use crate::{
    payload::{Payload, TOKEN},
    proto::v1::GetJobRequest,
};

/// Large enough that no answer waits for it.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

#[derive(Clone)]
pub struct Grpc {
    sender: SendRequest<Bytes>,
    uri: Uri,
    headers: HeaderMap,
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
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(dial(target, tls).await?)
            .await?;
        tokio::spawn(connection);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://localhost/jobgate.v1.JobService/GetJob").parse()?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("jobgate-load"));
        headers.insert("grpc-timeout", HeaderValue::from_static("10S"));
        headers.insert("x-auth-token", HeaderValue::from_static(TOKEN));
        let project = plan.payload.project();
        Ok(Self { sender, uri, headers, project, plan: Arc::clone(plan) })
    }

    pub async fn call(&mut self, job_id: &str) -> Result<()> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let (response, mut stream) = self.sender.send_request(request, false)?;
        stream.send_data(self.frame(job_id)?, true)?;

        let response = response.await?;
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

    fn frame(&self, job_id: &str) -> Result<Bytes> {
        let message = GetJobRequest { project_id: self.project.clone(), job_id: job_id.to_owned() };
        let length = message.encoded_len();
        let mut frame = BytesMut::with_capacity(5 + length);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length)?);
        message.encode(&mut frame)?;
        Ok(frame.freeze())
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

/// `grpc-status` and `grpc-message`, if they are there.
fn status(headers: &HeaderMap) -> Result<Option<(u16, String)>> {
    let Some(status) = headers.get("grpc-status") else { return Ok(None) };
    let message = headers.get("grpc-message").and_then(|it| it.to_str().ok());
    Ok(Some((status.to_str()?.parse()?, message.unwrap_or_default().to_owned())))
}
