//! The bare REST call: what a client has to pay without any gateway.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;

use super::Plan;
use crate::{
    dial::dial,
    payload::{Body, NOT_FOUND, Payload, TOKEN},
};

pub struct Rest {
    sender: SendRequest<Empty<Bytes>>,
    host: HeaderValue,
    /// The path but for the job's id.
    jobs: String,
    expected: Option<Arc<Body>>,
    plan: Arc<Plan>,
}

// === impl Rest ===

impl Rest {
    pub async fn connect(target: SocketAddr, plan: &Arc<Plan>) -> Result<Self> {
        let (sender, connection) = handshake(TokioIo::new(dial(target, None).await?)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: HeaderValue::from_str(&target.to_string())?,
            jobs: format!("/v1/{}/jobs/", plan.payload.project()),
            expected: match plan.payload {
                Payload::Job { sub_jobs } => Some(Arc::new(Body::new(sub_jobs))),
                Payload::Missing => None,
            },
            plan: Arc::clone(plan),
        })
    }

    pub async fn call(&mut self, job_id: &str) -> Result<()> {
        self.sender.ready().await?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = Uri::try_from([&self.jobs, job_id].concat())?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("x-auth-token", HeaderValue::from_static(TOKEN));
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        ensure!(status == self.plan.status, "HTTP {status} and not {}", self.plan.status);
        let body = response.into_body().collect().await?.to_bytes();
        match &self.expected {
            Some(expected) => ensure!(expected.is(job_id, &body), "another job"),
            None => ensure!(body == NOT_FOUND, "another error"),
        }
        Ok(())
    }
}
