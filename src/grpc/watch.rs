//! A watch as a stream of messages.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture, stream};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::{
    MAX_MESSAGE, convert, error::Error, overload::Overload, per_caller::Share, record::CallRecord,
};
use crate::{
    access::Refusal,
    job::{Job, JobPath},
    proto::{
        WatchJobReply,
        v1::{Heartbeat, WatchJobResponse, watch_job_response},
    },
    watch::{self as watches, End, Event, Watcher},
};

/// The most bytes that are added to a [`View`] for one watcher.
const MAX_REST: usize = 64;

/// A job as watchers are told of it, encoded once for all of them.
#[derive(Clone, Debug)]
pub(super) struct View {
    encoded: Bytes,
    resume_token: Arc<str>,
}

/// A watch that has begun.
pub(super) struct Watch {
    /// Ready when the caller may not watch any more. Costs nothing where nobody can lose his right.
    pub(super) refused: Option<BoxFuture<'static, Refusal>>,
    pub(super) watcher: Watcher<View>,
    pub(super) path: JobPath,
    pub(super) record: CallRecord,
    pub(super) _share: Option<Share>,
}

// === impl View ===

impl View {
    /// Makes the view of a job; `None` if it is too large to be sent.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let job = convert::job(job.clone())?;
        let resume_token = resume_token(&job.encode_to_vec());
        let encoded = WatchJobResponse {
            event: Some(watch_job_response::Event::Job(job)),
            resume_token: resume_token.clone(),
            observe_time: None,
        };
        let encoded = Bytes::from(encoded.encode_to_vec());
        (encoded.len() <= MAX_MESSAGE - MAX_REST)
            .then(|| Self { encoded, resume_token: resume_token.into() })
    }

    /// Whether a watcher who comes with this token has seen the job like this.
    pub(super) fn is_known_by(&self, resume_token: &str) -> bool {
        *self.resume_token == *resume_token
    }
}

/// Half a SHA-256 of the job's message, whose encoding is the same everywhere: its maps are sorted.
fn resume_token(job: &[u8]) -> String {
    let hash = Sha256::digest(job);
    let half = hash.iter().take(16).fold(0_u128, |half, byte| half << 8 | u128::from(*byte));
    format!("{half:032x}")
}

/// The messages of a watch, up to the status that ends it.
pub(super) fn replies(watch: Watch) -> impl Stream<Item = Result<WatchJobReply, Status>> {
    // In a box, for the stream would keep it twice: at rest and at work.
    stream::unfold(Some(Box::new(watch)), async |watch| {
        let mut watch = watch?;
        match watch.next().await {
            Ok(event) => Some((Ok(reply(event, &watch.path)), Some(watch))),
            Err(error) => {
                let error = error?;
                watch.record.failed(&error);
                Some((Err(error.into()), None))
            }
        }
    })
}

// === impl Watch ===

impl Watch {
    /// Waits for what there is to tell next. The error ends the watch; there is none if its job has
    /// ended.
    async fn next(&mut self) -> Result<Event<View>, Option<Error>> {
        let Self { refused, watcher, path, .. } = self;
        let told = match refused {
            Some(refused) => tokio::select! {
                biased;
                refusal = refused => return Err(Some(refusal.into())),
                told = watcher.next() => told,
            },
            None => watcher.next().await,
        };
        told.map_err(|end| error(end, path.clone()))
    }
}

fn reply(event: Event<View>, path: &JobPath) -> WatchJobReply {
    match event {
        Event::Changed { view, observed } => WatchJobReply {
            encoded: view.encoded,
            rest: WatchJobResponse {
                event: None,
                resume_token: String::new(),
                observe_time: Some(convert::timestamp(observed)),
            },
        },
        Event::Heartbeat { view, observed, trouble } => {
            let upstream_error = trouble.map(|error| {
                let status = Status::from(Error::Upstream { error, path: path.clone() });
                tonic_types::Status::decode(status.details()).unwrap_or_default()
            });
            WatchJobReply {
                encoded: Bytes::new(),
                rest: WatchJobResponse {
                    event: Some(watch_job_response::Event::Heartbeat(Heartbeat { upstream_error })),
                    resume_token: view.resume_token.to_string(),
                    observe_time: Some(convert::timestamp(observed)),
                },
            }
        }
    }
}

/// The error that a watch ends with; `None` if its job has ended.
fn error(end: End, path: JobPath) -> Option<Error> {
    Some(match end {
        End::Completed => return None,
        End::DeadlineExceeded => Error::DeadlineExceeded,
        End::Draining => Error::ServerDraining,
        End::Expired => Error::WatchExpired,
        End::Failed(error) => Error::Upstream { error, path },
        End::OutOfPatience(error) => Error::WatchGaveUp { error },
        End::Lost => Error::Internal,
    })
}

/// The error of a call for which there is no watch.
pub(super) fn refusal(refusal: watches::Refusal, path: JobPath) -> Error {
    match refusal {
        watches::Refusal::Draining => Error::ServerDraining,
        watches::Refusal::Overloaded => Overload::Watches.into(),
        watches::Refusal::Failed(error) => Error::Upstream { error, path },
        watches::Refusal::Lost => Error::Internal,
    }
}
