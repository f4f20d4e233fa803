//! What the tests are written in.

pub(crate) mod account;
pub(crate) mod certificates;
pub(crate) mod cloud;
pub(crate) mod gateway;
pub(crate) mod program;
pub(crate) mod upstream;

use tonic::Status;
use tonic_types::StatusExt as _;

pub(crate) use self::{
    gateway::{Gateway, TOKEN, get_job, watch_job},
    upstream::{Reply, Upstream},
};

/// The reason in a status of ours.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
