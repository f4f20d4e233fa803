//! A watch as a stream of messages.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::{MAX_MESSAGE, convert, error::Error, record::CallRecord};
use crate::{
    access::Permit,
    job::{Job, JobPath},
    proto::{
        WatchJobReply,
        v1::{Heartbeat, WatchJobResponse, watch_job_response},
    },
    watch::{End, Event, Refusal, Watcher},
};

/// The most bytes that are added to a [`View`] for one watcher.
const MAX_REST: usize = 64;

/// A job as watchers are told of it, encoded once for all of them.
#[derive(Clone, Debug)]
pub(super) struct View {
    encoded: Bytes,
    resume_token: Arc<str>,
}

// === impl View ===

impl View {
    /// Makes the view of a job; `None` if it is too large to be sent.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let job = convert::job(job)?;
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
pub(super) fn replies(
    watcher: Watcher<View>,
    path: JobPath,
    record: CallRecord,
) -> impl Stream<Item = Result<WatchJobReply, Status>> {
    stream::unfold(Some((watcher, path, record)), async |watch| {
        let (mut watcher, path, record) = watch?;
        match watcher.next().await {
            Ok(event) => Some((Ok(reply(event, &path)), Some((watcher, path, record)))),
            Err(end) => {
                let error = error(end, path)?;
                record.failed(&error);
                Some((Err(error.into()), None))
            }
        }
    })
}

/// The same, to a caller who may lose his right to it.
pub(super) fn permitted_replies(
    permit: Permit,
    watcher: Watcher<View>,
    path: JobPath,
    record: CallRecord,
) -> impl Stream<Item = Result<WatchJobReply, Status>> {
    stream::unfold(Some((permit, watcher, path, record)), async |watch| {
        let (mut permit, mut watcher, path, record) = watch?;
        let next = tokio::select! {
            biased;
            refusal = permit.lost(path.project_id()) => Err(Some(Error::from(refusal))),
            next = watcher.next() => next.map_err(|end| error(end, path.clone())),
        };
        match next {
            Ok(event) => Some((Ok(reply(event, &path)), Some((permit, watcher, path, record)))),
            Err(error) => {
                let error = error?;
                record.failed(&error);
                Some((Err(error.into()), None))
            }
        }
    })
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
pub(super) fn refusal(refusal: Refusal, path: JobPath) -> Error {
    match refusal {
        Refusal::Draining => Error::ServerDraining,
        Refusal::Overloaded => Error::Overloaded,
        Refusal::Failed(error) => Error::Upstream { error, path },
        Refusal::Lost => Error::Internal,
    }
}
