// DOCS> Rust, by tonic: `cargo add tonic --features tls-aws-lc,tls-native-roots`, `cargo add tonic-prost tonic-types prost prost-types futures-util fastrand`, `cargo add tokio --features time`, `cargo add --build tonic-prost-build`; for Rust 1.91 or newer
//! How to call jobgate with tonic. Copy what you need.

use std::{error::Error as _, time::Duration};

use futures_util::{Stream, stream};
use tokio::time::{sleep, timeout};
use tonic::{
    Code, Request, Response, Status, Streaming, TimeoutExpired,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;

/// What `tonic-prost-build` makes of the contract, with `protoc` and this in `build.rs`:
/// `configure().extern_path(".google.rpc.Status", "::tonic_types::Status").compile_protos(..)`.
pub(crate) mod proto {
    #![allow(clippy::allow_attributes, clippy::pedantic, unreachable_pub)] // Generated.
    tonic::include_proto!("jobgate.v1");
}

use proto::{
    GetJobRequest, Job, WatchJobRequest, WatchJobResponse, job_service_client::JobServiceClient,
};

/// A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long.
const MAX_FAILURES: u32 = 20;

/// How long a call with all its attempts may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the gateway may be silent before it is asked whether it is there, and may then take: a
/// net that has forgotten a connection tells nobody.
const SILENCE: Duration = Duration::from_secs(30);
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Sends the token with each call.
#[derive(Clone, Debug)]
pub(crate) struct SendToken(MetadataValue<Ascii>);

impl Interceptor for SendToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("x-auth-token", self.0.clone());
        Ok(request)
    }
}

/// `JobService` over a channel. Make one and keep it: a channel connects again by itself.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) stub: JobServiceClient<InterceptedService<Channel, SendToken>>,
}

impl Client {
    /// A client for `http://HOST:PORT`, or for `https://`.
    pub(crate) fn new(endpoint: &Endpoint, token: &str) -> Result<Self, Status> {
        let token = token.parse().map_err(|_| Status::invalid_argument("no fit token"))?;
        let channel = endpoint.clone().http2_keep_alive_interval(SILENCE);
        let channel = channel.keep_alive_timeout(SIGN_OF_LIFE).connect_lazy();
        let stub = JobServiceClient::with_interceptor(channel, SendToken(token));
        Ok(Self { stub })
    }

    /// The job as it is now. tonic repeats no calls by itself, so this does.
    pub(crate) async fn get(&self, project: &str, job: &str) -> Result<Job, Status> {
        let message = GetJobRequest { project_id: project.into(), job_id: job.into() };
        let attempts = async {
            let mut failures = 0;
            loop {
                let mut request = Request::new(message.clone());
                request.set_timeout(TIMEOUT);
                let answer = self.stub.clone().get_job(request).await;
                match answer {
                    Err(status) if may_pass(&status) && failures < 3 => {
                        failures += 1;
                        pause(&status, failures).await;
                    }
                    answer => return answer.map(Response::into_inner),
                }
            }
        };
        let late = |_| Err(Status::deadline_exceeded("no answer in time"));
        timeout(TIMEOUT, attempts).await.unwrap_or_else(late)
    }

    /// All that happens to the job, to its end. A watch that breaks is taken up again. A response
    /// has a job or, while nothing changes, a heartbeat.
    pub(crate) fn watch(
        &self,
        project: &str,
        job: &str,
    ) -> impl Stream<Item = Result<WatchJobResponse, Status>> + use<> {
        let request = WatchJobRequest {
            project_id: project.into(),
            job_id: job.into(),
            resume_token: String::new(),
        };
        let begin = (self.stub.clone(), request, None, 0);
        stream::try_unfold(begin, async |(mut stub, mut request, mut open, mut failures)| {
            loop {
                let next = match &mut open {
                    Some(stream) => Streaming::message(stream).await,
                    None => match stub.watch_job(request.clone()).await {
                        Ok(answer) => {
                            open = Some(answer.into_inner());
                            continue;
                        }
                        Err(status) => Err(status),
                    },
                };
                match next {
                    Ok(Some(response)) => {
                        request.resume_token.clone_from(&response.resume_token);
                        return Ok(Some((response, (stub, request, open, 0))));
                    }
                    Ok(None) => return Ok(None), // The job has ended.
                    Err(status) if may_pass(&status) && failures + 1 < MAX_FAILURES => {
                        failures += 1;
                        pause(&status, failures).await;
                    }
                    Err(status) => return Err(status),
                }
                open = None;
            }
        })
    }
}

/// Whether another try may do better.
fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::ResourceExhausted => status.get_details_retry_info().is_some(),
        // What tonic says by itself: the connection broke, or was told to go before the call was sent.
        Code::Cancelled | Code::Unknown => status.source().is_some() && !deadline_passed(status),
        _ => false,
    }
}

/// Waits: as long as the gateway says, a minute at most; else longer with each failure.
async fn pause(status: &Status, failures: u32) {
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let wait = (125 << failures).min(10_000);
    let wait = told.unwrap_or_else(|| Duration::from_millis(fastrand::u64(wait / 2..wait)));
    sleep(wait.min(Duration::from_mins(1))).await;
}

/// An address with TLS. `authority`: PEM, for a private one.
pub(crate) fn tls(
    address: &str,
    authority: Option<&str>,
) -> Result<Endpoint, tonic::transport::Error> {
    let mut config = ClientTlsConfig::new().with_native_roots();
    if let Some(pem) = authority {
        config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    }
    Endpoint::from_shared(format!("https://{address}"))?.tls_config(config)
}

/// Why a call failed, such as `JOB_NOT_FOUND`, if the gateway said so itself.
pub(crate) fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == "jobgate").then_some(info.reason)
}

/// Whether the deadline has passed. Where tonic finds that itself, it says `CANCELLED`.
pub(crate) fn deadline_passed(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    status.code() == Code::DeadlineExceeded
}
