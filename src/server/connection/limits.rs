//! How many connections there may be, and for how long.

use std::time::Duration;

/// How many connections there may be, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at a time. One more is closed at once: left waiting, its client would
    /// not look for another replica.
    pub max_connections: usize,
    /// The most calls at a time on one HTTP/2 connection. Its client is told, and lets the others
    /// wait in silence: a client library puts all its watches on one connection.
    pub max_streams: u32,
    /// How long a connection may be without calls.
    pub idle: Option<Duration>,
    /// How long a connection is good for new calls, a tenth more or less.
    pub max_age: Option<Duration>,
    /// How long calls may go on after that.
    pub grace: Duration,
    /// How often a peer is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How long it may take to answer, and not to read anything of what is sent to it.
    pub keepalive_timeout: Duration,
}

// === impl Limits ===

impl Limits {
    /// As many connections as come, for as long as they like.
    pub(in crate::server) fn none() -> Self {
        Self { max_connections: usize::MAX, idle: None, max_age: None, ..Self::default() }
    }

    /// The age of a new connection at which it ends: connections that began together do not end
    /// together.
    pub(super) fn age(&self) -> Option<Duration> {
        self.max_age.map(|age| age.mul_f64(0.9 + fastrand::f64() / 5.0))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            // As many as there may be watches.
            max_streams: 20_000,
            idle: Some(Duration::from_mins(15)),
            max_age: Some(Duration::from_hours(1)),
            // As long as a watch may live, so that none is cut.
            grace: Duration::from_hours(1),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most() {
        let max_age = Some(Duration::from_secs(100));
        let limits = Limits { max_age, ..Limits::default() };
        let ages: Vec<_> = (0..200).filter_map(|_| limits.age()).collect();
        assert!(ages.iter().all(|age| (90.0..=110.0).contains(&age.as_secs_f64())), "{ages:?}");
        assert!(ages.iter().any(|age| age.as_secs_f64() < 97.0));
        assert!(ages.iter().any(|age| age.as_secs_f64() > 103.0));
    }
}
