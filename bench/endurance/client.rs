//! Calls as clients make them, with tonic.

use std::{net::SocketAddr, time::Duration};

use jobgate::proto::v1::{
    GetJobRequest, Job, WatchJobRequest, WatchJobResponse, job_service_client::JobServiceClient,
};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

pub(crate) async fn connect(gateway: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{gateway}")).unwrap();
    loop {
        // Too many at a time are no reason to end.
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
    }
}

pub(crate) async fn get(
    channel: &Channel,
    job: String,
    token: &str,
    timeout: Duration,
) -> Result<Job, Status> {
    let message = GetJobRequest { project_id: "p".to_owned(), job_id: job };
    let mut request = with(message, token);
    request.set_timeout(timeout);
    JobServiceClient::new(channel.clone()).get_job(request).await.map(Response::into_inner)
}

pub(crate) async fn watch(
    channel: &Channel,
    job: String,
    token: &str,
) -> Result<Streaming<WatchJobResponse>, Status> {
    let resume_token = String::new();
    let message = WatchJobRequest { project_id: "p".to_owned(), job_id: job, resume_token };
    let request = with(message, token);
    JobServiceClient::new(channel.clone()).watch_job(request).await.map(Response::into_inner)
}

/// The code of a status, its reason, and whether it says when to come back.
pub(crate) fn told(status: &Status) -> String {
    let reason = status.get_details_error_info().map_or("none".to_owned(), |info| info.reason);
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let retry = if delay.is_some() { " with RetryInfo" } else { "" };
    format!("{:?} {reason}{retry}", status.code())
}

fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
    request
}
