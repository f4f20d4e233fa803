//! Where pollers get jobs from.

use std::sync::Arc;

use tokio::time::Instant;

use super::Config;
use crate::{
    job::JobPath,
    upstream::{Credential, FetchError, Fetched, Trace, Upstream},
};

/// Where pollers get jobs from.
pub trait Source: Clone + Send + Sync + 'static {
    /// Asks for a job.
    fn fetch(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Arc<Trace>,
    ) -> impl Future<Output = Fetched> + Send;

    /// Why nothing should be asked with this credential at present, if so; the error says for how long.
    fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>>;
}

impl Source for Upstream {
    fn fetch(
        &self,
        path: &JobPath,
        credential: &Credential,
        trace: &Arc<Trace>,
    ) -> impl Future<Output = Fetched> + Send {
        // Each attempt has its own limit; this one is for repeating them.
        let deadline = Instant::now() + Config::default().poll_max;
        self.poll(path, credential, trace, deadline)
    }

    fn paused(&self, credential: &Credential) -> Option<Arc<FetchError>> {
        self.paused(credential)
    }
}
