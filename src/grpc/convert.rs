//! A job of the domain as a message of the contract.

use prost::Message as _;

use super::MAX_MESSAGE;
use crate::{
    job::{Job, Status},
    proto::v1,
};

/// Converts a job that is to be sent; `None` if it is too large for that.
pub(super) fn job(job: Job) -> Option<v1::Job> {
    Some(message(job)).filter(|message| message.encoded_len() <= MAX_MESSAGE)
}

fn message(job: Job) -> v1::Job {
    // Whole, so that no field is forgotten.
    let Job {
        job_id,
        job_type,
        status,
        status_text,
        entities,
        begin_time,
        end_time,
        error_code,
        fail_reason,
        sub_jobs,
    } = job;
    v1::Job {
        job_id,
        job_type,
        status: status_of(status).into(),
        status_text,
        entities,
        begin_time: begin_time.map(timestamp),
        end_time: end_time.map(timestamp),
        error_code,
        fail_reason,
        sub_jobs: sub_jobs.into_iter().map(message).collect(),
    }
}

fn status_of(status: Status) -> v1::JobStatus {
    match status {
        Status::Unspecified => v1::JobStatus::Unspecified,
        Status::Init => v1::JobStatus::Init,
        Status::Running => v1::JobStatus::Running,
        Status::Success => v1::JobStatus::Success,
        Status::Fail => v1::JobStatus::Fail,
    }
}

pub(super) fn timestamp(time: jiff::Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    let mut timestamp = prost_types::Timestamp { seconds, nanos };
    // Before 1970 the two may differ in sign, which protobuf does not allow.
    timestamp.normalize();
    timestamp
}
