//! A part of a call, for `bench/micro.rs`.

use std::sync::Arc;

use http::HeaderMap;
use prost::Message as _;
use tonic::Status;

use crate::{grpc, job::JobPath, upstream};

/// What the upstream answers, made what is sent to the caller: an encoded message or a status.
pub fn answer(path: &JobPath, status: u16, body: &[u8]) -> Result<Vec<u8>, Box<Status>> {
    let (headers, body) = (HeaderMap::new(), body.to_vec());
    let answer = upstream::fuzzing::Answer { status, headers, body, whole: true };
    match upstream::fuzzing::read(&answer, path, &[]) {
        Ok(job) => Ok(grpc::fuzzing::message(&job).unwrap_or_default().encode_to_vec()),
        Err(error) => {
            let error = grpc::Error::Upstream { error: Arc::new(*error), path: path.clone() };
            Err(Box::new(error.into()))
        }
    }
}
