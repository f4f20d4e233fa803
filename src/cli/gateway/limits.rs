//! Flags of `serve` on how much there may be at a time.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use clap::Args;
use jobgate::{grpc, server::ConnectionLimits};

use crate::cli::duration::{self, OrOff};

/// How many calls and connections there may be, and for how long.
#[derive(Args, Debug)]
pub(super) struct LimitArgs {
    /// The most calls at a time: GetJob to its end, WatchJob to its first state; others wait
    #[arg(long, env = "JOBGATE_MAX_CALLS", value_name = "N", default_value = "1000")]
    max_calls: NonZeroUsize,

    /// How long a call waits while there are so many; then it is refused
    #[arg(
        long,
        env = "JOBGATE_MAX_WAIT",
        value_name = "DURATION",
        default_value = "1s",
        value_parser = duration::parse
    )]
    max_wait: Duration,

    /// The most calls of one caller at a time, with those that wait; 0 for no limit
    #[arg(long, env = "JOBGATE_MAX_CALLS_PER_CALLER", value_name = "N", default_value = "0")]
    max_calls_per_caller: usize,

    /// The most watches of one caller at a time; 0 for no limit
    #[arg(long, env = "JOBGATE_MAX_WATCHES_PER_CALLER", value_name = "N", default_value = "0")]
    max_watches_per_caller: usize,

    /// The most connections at a time; one more is closed at once
    #[arg(long, env = "JOBGATE_MAX_CONNECTIONS", value_name = "N", default_value = "10000")]
    max_connections: NonZeroUsize,

    /// The most calls and watches at a time on one connection; its client lets others wait
    #[arg(long, env = "JOBGATE_MAX_STREAMS", value_name = "N", default_value = "20000")]
    max_streams: NonZeroU32,

    /// How long a connection may be without calls; `off` for as long as it likes
    #[arg(long, env = "JOBGATE_CONNECTION_IDLE", value_name = "DURATION", default_value = "15m")]
    connection_idle: OrOff,

    /// How long a connection takes calls, a tenth more or less, so that clients spread over new
    /// replicas; `off` for as long as it likes
    #[arg(long, env = "JOBGATE_CONNECTION_MAX_AGE", value_name = "DURATION", default_value = "1h")]
    connection_max_age: OrOff,

    /// How long calls and watches may go on after that
    #[arg(
        long,
        env = "JOBGATE_CONNECTION_GRACE",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = duration::parse
    )]
    connection_grace: Duration,
}

// === impl LimitArgs ===

impl LimitArgs {
    /// The limits of calls, and those of connections.
    pub(super) fn config(self) -> (grpc::Limits, ConnectionLimits) {
        let Self {
            max_calls,
            max_wait,
            max_calls_per_caller,
            max_watches_per_caller,
            max_connections,
            max_streams,
            connection_idle: OrOff(idle),
            connection_max_age: OrOff(max_age),
            connection_grace,
        } = self;
        let calls = grpc::Limits {
            calls: max_calls.get(),
            wait: max_wait,
            calls_per_caller: NonZeroUsize::new(max_calls_per_caller),
            watches_per_caller: NonZeroUsize::new(max_watches_per_caller),
        };
        let connections = ConnectionLimits {
            max_connections: max_connections.get(),
            max_streams: max_streams.get(),
            idle,
            max_age,
            grace: connection_grace,
            ..ConnectionLimits::default()
        };
        (calls, connections)
    }
}
