//! What the tests are written in.

pub(crate) mod account;
pub(crate) mod certificates;
pub(crate) mod cloud;
pub(crate) mod collector;
pub(crate) mod gateway;
pub(crate) mod http2;
pub(crate) mod program;
pub(crate) mod upstream;

use std::time::Duration;

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

/// Returns once something is so. The limit is for what will never be.
pub(crate) async fn becomes(mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it does not become so");
}
