//! The options for watches.

use std::{num::NonZeroUsize, time::Duration};

use jobgate::watch;

use crate::cli::duration;

/// How watches are kept.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// The longest silence on a watch; then a heartbeat is sent
    #[arg(
        long,
        env = "JOBGATE_HEARTBEAT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration::parse
    )]
    heartbeat: Duration,

    /// The interval of polls for a watched job after it has changed
    #[arg(
        long,
        env = "JOBGATE_POLL_MIN",
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration::parse
    )]
    poll_min: Duration,

    /// The interval of polls up to which it grows while nothing changes
    #[arg(
        long,
        env = "JOBGATE_POLL_MAX",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration::parse
    )]
    poll_max: Duration,

    /// How long a watch bears faults of the upstream that may pass
    #[arg(
        long,
        env = "JOBGATE_WATCH_PATIENCE",
        value_name = "DURATION",
        default_value = "5m",
        value_parser = duration::parse
    )]
    watch_patience: Duration,

    /// How long a watch may live, less up to a fifth; then the client watches again
    #[arg(
        long,
        env = "JOBGATE_WATCH_MAX_AGE",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = duration::parse
    )]
    watch_max_age: Duration,

    /// The most watches at a time, of all jobs and callers together
    #[arg(long, env = "JOBGATE_MAX_WATCHES", value_name = "N", default_value = "20000")]
    max_watches: NonZeroUsize,
}

// === impl WatchArgs ===

impl WatchArgs {
    pub(super) fn config(self) -> watch::Config {
        let Self { heartbeat, poll_min, poll_max, watch_patience, watch_max_age, max_watches } =
            self;
        watch::Config {
            heartbeat,
            max_watches: max_watches.get(),
            max_age: watch_max_age,
            patience: watch_patience,
            poll_min,
            poll_max,
        }
    }
}
