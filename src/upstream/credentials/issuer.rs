//! Where passes come from.

use std::time::Duration;

use super::Pass;
use crate::{telemetry::TraceContext, upstream::FetchError};

/// Gives out passes.
pub(super) trait Issuer: Send + 'static {
    /// Whether asking again gives another pass.
    const RENEWS: bool;

    /// Asks once, as a part of `span`.
    fn issue(
        &mut self,
        span: Option<&TraceContext>,
    ) -> impl Future<Output = Result<Issued, NotIssued>> + Send;

    /// Ready when what is asked with has changed.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// What an issuer gives.
pub(super) struct Issued {
    pub(super) pass: Pass,
    /// `None` if its end is not known, or it has none.
    pub(super) lifetime: Option<Duration>,
}

/// Why it gives nothing.
pub(super) struct NotIssued {
    pub(super) error: FetchError,
    /// How long it asks to wait.
    pub(super) retry_after: Option<Duration>,
}

// === impl NotIssued ===

impl From<FetchError> for NotIssued {
    fn from(error: FetchError) -> Self {
        Self { error, retry_after: None }
    }
}
