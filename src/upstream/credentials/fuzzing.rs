//! What the fuzz targets reach of the credentials.

use std::time::Duration;

use super::{iam, issuer::Issued, metadata, patience};
use crate::upstream::{FetchError, secret::Secret, transport::Response};

pub(in crate::upstream) fn read_iam(
    answer: &Response,
    password: &Secret,
) -> Result<Duration, Box<FetchError>> {
    iam::read(answer, password).map(|issued| lifetime(&issued)).map_err(Box::new)
}

pub(in crate::upstream) fn read_metadata(answer: &Response) -> Result<Duration, Box<FetchError>> {
    metadata::read(answer).map(|issued| lifetime(&issued)).map_err(Box::new)
}

/// When the keeper renews it must be a time there is.
fn lifetime(issued: &Issued) -> Duration {
    let lifetime = issued.lifetime.unwrap_or_default();
    let renewal = patience::renewal(lifetime, 1.0);
    assert!(tokio::time::Instant::now().checked_add(lifetime.max(renewal)).is_some());
    lifetime
}
