//! What the fuzz targets reach of this room.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use super::{
    credentials::fuzzing as credentials,
    error::FetchError,
    oddity::Oddities,
    outcome,
    redact::{MAX_EXCERPT, MAX_MESSAGE, MAX_WORD},
    retry_after,
    secret::Secret,
    time,
    transport::{End, Response},
};
use crate::job::{Job, JobPath};

pub(crate) const MAX_TEXTS: [usize; 3] = [MAX_MESSAGE, MAX_WORD, MAX_EXCERPT];

/// An HTTP answer.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether all of the body came. Of a success, it always did.
    pub(crate) whole: bool,
}

/// What the answer to a question for a job is read as.
pub(crate) fn read(
    answer: &Answer,
    path: &JobPath,
    secrets: &[Secret],
) -> Result<Job, Box<FetchError>> {
    outcome::read(&response(answer), path, secrets, &mut Oddities::default()).map_err(Box::new)
}

/// How long the token in an answer of IAM lives.
pub(crate) fn read_iam(answer: &Answer, password: &Secret) -> Result<Duration, Box<FetchError>> {
    credentials::read_iam(&response(answer), password)
}

/// How long the key in an answer of the metadata service lives.
pub(crate) fn read_metadata(answer: &Answer) -> Result<Duration, Box<FetchError>> {
    credentials::read_metadata(&response(answer))
}

pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    retry_after::parse(value, now)
}

pub(crate) fn time(text: &str) -> Option<Timestamp> {
    time::parse(text)
}

fn response(answer: &Answer) -> Response {
    let Answer { status, headers, body, whole } = answer.clone();
    let end = if whole { End::Complete } else { End::Cut("connection reset".to_owned()) };
    Response { status, headers, body: Bytes::from(body), end, compressed: false }
}
