//! What the fuzz targets reach of this room.

use std::time::Duration;

use super::{convert, deadline};
use crate::{job::Job, proto::v1};

/// What a job is sent as; `None` if it is too large for that.
pub(crate) fn message(job: &Job) -> Option<v1::Job> {
    convert::job(job.clone())
}

pub(crate) fn timestamp(time: jiff::Timestamp) -> prost_types::Timestamp {
    convert::timestamp(time)
}

pub(crate) fn timeout(value: &[u8]) -> Option<Duration> {
    deadline::parse(value).ok()
}
