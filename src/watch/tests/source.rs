//! A source that answers as it is told, and takes note of every question.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    job::{Job, JobPath, Status},
    upstream::{Answer, Credential, ErrorKind, FetchError, Fetched, Trace},
    watch::Source,
};

/// What the source does with one question.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A job with this text as its type.
    Job(&'static str, Status),
    Error(ErrorKind),
    Throttle(Duration),
    /// Another reply after a while.
    After(Duration, Box<Reply>),
    Panic,
}

/// A source of replies in turn, the last one for ever. Cheap to clone.
#[derive(Clone)]
pub(super) struct Scripted(Arc<Mutex<State>>);

struct State {
    start: Instant,
    replies: VecDeque<Reply>,
    asked: Vec<(String, Duration)>,
    answered: usize,
    paused: Option<(Credential, Instant, Arc<FetchError>)>,
}

pub(super) fn running(text: &'static str) -> Reply {
    Reply::Job(text, Status::Running)
}

pub(super) fn success(text: &'static str) -> Reply {
    Reply::Job(text, Status::Success)
}

pub(super) fn error(kind: ErrorKind) -> FetchError {
    let answer = Answer { http_status: 500, ..Answer::default() };
    FetchError { kind, answer: Some(answer), retry_after: None, detail: String::new() }
}

impl Scripted {
    pub(super) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self(Arc::new(Mutex::new(State {
            start: Instant::now(),
            replies: replies.into_iter().collect(),
            asked: Vec::new(),
            answered: 0,
            paused: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Gives these replies from now on.
    pub(super) fn goes_on_with(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().replies = replies.into_iter().collect();
    }

    /// When it was asked, in milliseconds since the start.
    pub(super) fn asked(&self) -> Vec<u128> {
        self.state().asked.iter().map(|(_, at)| at.as_millis()).collect()
    }

    /// When it was asked for one job.
    pub(super) fn asked_for(&self, job: &str) -> Vec<u128> {
        let state = self.state();
        let asked = state.asked.iter().filter(|(id, _)| id == job);
        asked.map(|(_, at)| at.as_millis()).collect()
    }

    /// How many answers were waited for to the end.
    pub(super) fn answered(&self) -> usize {
        self.state().answered
    }
}

impl Source for Scripted {
    async fn fetch(&self, path: &JobPath, credential: &Credential, _: &Arc<Trace>) -> Fetched {
        let mut reply = {
            let mut state = self.state();
            let asked = (path.job_id().to_owned(), state.start.elapsed());
            state.asked.push(asked);
            match state.replies.len() {
                1 => state.replies[0].clone(),
                _ => state.replies.pop_front().unwrap(),
            }
        };
        while let Reply::After(wait, next) = reply {
            sleep(wait).await;
            reply = *next;
        }
        let mut state = self.state();
        state.answered += 1;
        let result = match reply {
            Reply::Job(text, status) => {
                Ok(Job { job_type: text.to_owned(), status, ..Job::default() })
            }
            Reply::Error(kind) => Err(error(kind)),
            Reply::Throttle(wait) => {
                let mut error = error(ErrorKind::Throttled);
                error.retry_after = Some(wait);
                let until = Instant::now() + wait;
                state.paused = Some((credential.clone(), until, Arc::new(error.clone())));
                Err(error)
            }
            Reply::Panic => {
                drop(state);
                panic!("as it was told");
            }
            Reply::After(..) => unreachable!("waited for above"),
        };
        Fetched {
            result: result.map(Arc::new).map_err(Arc::new),
            attempts: 1,
            http_status: Some(200),
            request_id: None,
            took: Duration::ZERO,
            shared: false,
            at: Timestamp::UNIX_EPOCH.checked_add(state.start.elapsed()).unwrap(),
        }
    }

    fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        let state = self.state();
        let (_, until, error) =
            state.paused.as_ref().filter(|(paused, ..)| paused == credential)?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| FetchError::as_of_now(error, left))
    }
}
