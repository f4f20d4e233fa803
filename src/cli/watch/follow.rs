//! A watch that is taken up again when it breaks.

use std::time::Duration;

use backon::BackoffBuilder as _;
use futures_util::{Stream, stream};
use jobgate::proto::v1::{WatchJobRequest, WatchJobResponse, job_service_client::JobServiceClient};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Streaming, transport::ClientTlsConfig};
use tonic_types::StatusExt as _;

use crate::cli::{client::Peer, error::Error, target::Target, token::Credentials};

/// The time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What happens in a watch.
#[derive(Debug)]
pub(crate) enum Step {
    /// The gateway says something.
    Event(WatchJobResponse),
    /// The watch broke, and is taken up again after a wait.
    Lost { error: Error, wait: Duration },
}

/// Watches a job. The stream ends when the gateway says that the watch is done, or with an error
/// that no repeat can mend.
pub(crate) fn follow(
    target: Target,
    credentials: Credentials,
    tls: Option<ClientTlsConfig>,
) -> impl Stream<Item = Result<Step, Error>> {
    let Target { job, project, gateway, .. } = target;
    let request = WatchJobRequest { project_id: project, job_id: job, resume_token: String::new() };
    let peer = Peer::new(gateway, tls, CONNECT_TIMEOUT);
    let follower = Follower {
        peer,
        request,
        credentials,
        stream: None,
        begun: false,
        waits: waits(),
        wait: None,
    };
    stream::try_unfold(follower, |mut follower| async {
        Ok(follower.next().await?.map(|step| (step, follower)))
    })
}

struct Follower {
    peer: Peer,
    request: WatchJobRequest,
    credentials: Credentials,
    stream: Option<Streaming<WatchJobResponse>>,
    /// Whether anything has come yet. Before that, an error is the answer.
    begun: bool,
    waits: Waits,
    wait: Option<Duration>,
}

type Waits = backon::ExponentialBackoff;

/// From a quarter of a second to ten seconds, each with up to as much again.
fn waits() -> Waits {
    backon::ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(10))
        .without_max_times()
        .with_jitter()
        .build()
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Step>, Error> {
        if let Some(wait) = self.wait.take() {
            sleep(wait).await;
        }
        match self.message().await {
            Ok(Some(response)) => {
                self.begun = true;
                self.waits = waits();
                if !response.resume_token.is_empty() {
                    self.request.resume_token.clone_from(&response.resume_token);
                }
                Ok(Some(Step::Event(response)))
            }
            Ok(None) => Ok(None),
            Err(error) if self.begun && may_pass(&error) => {
                self.stream = None;
                let told = match &error {
                    Error::Rpc(status) => status.get_details_retry_info(),
                    _ => None,
                };
                let told = told.and_then(|retry| retry.retry_delay);
                let wait = told.or_else(|| self.waits.next()).unwrap_or_default();
                self.wait = Some(wait);
                Ok(Some(Step::Lost { error, wait }))
            }
            Err(error) => Err(error),
        }
    }

    async fn message(&mut self) -> Result<Option<WatchJobResponse>, Error> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        let message = stream.message().await.map_err(|status| self.peer.error(status));
        self.stream = Some(stream);
        message
    }

    async fn open(&self) -> Result<Streaming<WatchJobResponse>, Error> {
        let channel = timeout(CONNECT_TIMEOUT, self.peer.connect())
            .await
            .unwrap_or_else(|_| Err(self.peer.timed_out()))?;
        let mut request = Request::new(self.request.clone());
        self.credentials.add_to(request.metadata_mut());
        let answer = JobServiceClient::new(channel).watch_job(request).await;
        Ok(answer.map_err(|status| self.peer.error(status))?.into_inner())
    }
}

/// Whether another try may do better.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Rpc(status) => match status.code() {
            Code::Unavailable => true,
            Code::ResourceExhausted => status.get_details_retry_info().is_some(),
            _ => false,
        },
        Error::Unreachable { .. } | Error::TimedOut { .. } => true,
        _ => false,
    }
}
