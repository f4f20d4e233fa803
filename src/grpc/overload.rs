//! What there can be too much of.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// What there is too much of. Its text is what the caller may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Overload {
    /// There are as many calls as there may be.
    #[error("this gateway has as many calls as it allows itself")]
    Calls,
    /// The caller has as many calls as he may have.
    #[error("this caller has as many calls as the gateway allows one")]
    CallsOfCaller,
    /// The connection's calls have as many bytes of headers as they may have.
    #[error("this connection's calls have as many headers as the gateway allows one")]
    HeadersOfConnection,
    /// There are as many watches as there may be.
    #[error("this gateway has as many watches as it allows itself")]
    Watches,
    /// The caller has as many watches as he may have.
    #[error("this caller has as many watches as the gateway allows one")]
    WatchesOfCaller,
}

// === impl Overload ===

impl Overload {
    /// When to try again: soon for calls, which are short. Those who were refused together do not
    /// come back together.
    pub(super) fn retry_delay(self) -> Duration {
        let delay = match self {
            Self::Calls | Self::CallsOfCaller | Self::HeadersOfConnection => Duration::from_secs(1),
            Self::Watches | Self::WatchesOfCaller => Duration::from_secs(5),
        };
        delay.mul_f64(1.0 + fastrand::f64() / 2.0)
    }
}

impl EncodeLabelValue for Overload {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Calls => "max_calls",
            Self::CallsOfCaller => "max_calls_per_caller",
            Self::HeadersOfConnection => "headers_of_connection",
            Self::Watches => "max_watches",
            Self::WatchesOfCaller => "max_watches_per_caller",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_were_refused_together_do_not_come_back_together() {
        let delays: Vec<_> = (0..100).map(|_| Overload::Calls.retry_delay()).collect();
        assert!(delays.iter().all(|delay| (1.0..=1.5).contains(&delay.as_secs_f64())));
        assert!(delays.iter().any(|delay| delay.as_secs_f64() < 1.2));
        assert!(delays.iter().any(|delay| delay.as_secs_f64() > 1.3));
    }
}
