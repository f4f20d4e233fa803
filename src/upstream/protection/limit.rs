//! A rate that is learned from refusals: halved by them, and growing steadily in between.
//!
//! The clouds say that somebody asks too often, and mostly not how often he may. They count in
//! windows of time, and one that is used up refuses everything until its end: meanwhile the rate falls
//! further, and with the first request that is taken again, it goes on at half of what it was. Pure:
//! time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest rate, in requests per second: slower than the slowest polls is no use.
const SLOWEST: f64 = 0.1;

/// The slowest rate after the first refusal, when little is known.
const FIRST_AT_LEAST: f64 = 1.0;

/// The half that refusals take is back after this time.
const RECOVERY: Duration = Duration::from_secs(30);

/// After so long without a refusal there is no limit any more.
const LIFETIME: Duration = Duration::from_mins(10);

/// The share of a second's requests that may go at once after a pause.
const BURST: f64 = 0.25;

/// The longest wait that is told. Who comes again then has his turn or is told again; meanwhile, the
/// rate may be another.
const LONGEST: Duration = Duration::from_secs(10);

/// How often somebody may ask.
#[derive(Debug)]
pub(super) struct Limit {
    /// Requests per second at `since`.
    low: f64,
    /// How much it has grown with each second since.
    growth: f64,
    /// When `low` was set. What was sent before says nothing new.
    since: Instant,
    /// The rate that was refused; `None` if the upstream takes requests again.
    too_high: Option<f64>,
    refused_at: Instant,
    /// Requests that may go at once, as of `filled_at`.
    tokens: f64,
    filled_at: Instant,
    /// Those who were told to wait have the turns up to here.
    promised: Instant,
}

/// Counts requests, to know the rate that was too high.
#[derive(Debug)]
pub(super) struct Meter {
    since: Instant,
    count: u32,
    /// In the second before.
    last: u32,
}

// === impl Limit ===

impl Limit {
    /// The limit after a first refusal at a rate of requests per second.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        let mut limit = Self {
            low: rate.max(2.0 * FIRST_AT_LEAST),
            growth: 0.0,
            since: now,
            too_high: None,
            refused_at: now,
            tokens: 0.0,
            filled_at: now,
            promised: now,
        };
        limit.refused(now, now);
        limit
    }

    /// A request that was `sent` then has been refused as one too many.
    pub(super) fn refused(&mut self, sent: Instant, now: Instant) {
        self.refused_at = now;
        // It was under way when another one was refused, and says the same.
        if sent < self.since {
            return;
        }
        let rate = self.rate(now);
        self.too_high.get_or_insert(rate);
        self.start((rate / 2.0).max(SLOWEST), 0.0, now);
        self.tokens = 0.0;
        self.promised = now;
    }

    /// A request that was `sent` then has not been refused.
    pub(super) fn taken(&mut self, sent: Instant, now: Instant) {
        if let Some(rate) = self.too_high.take_if(|_| sent >= self.since) {
            let half = (rate / 2.0).max(SLOWEST);
            self.start(half, half / RECOVERY.as_secs_f64(), now);
        }
    }

    /// Lets a request go, or says when to come again. Each who is told to come within his
    /// `patience` is told another time. It is no promise: others may be quicker.
    pub(super) fn turn(&mut self, now: Instant, patience: Duration) -> Result<(), Duration> {
        self.fill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let next = now + self.time_for(1.0 - self.tokens, now);
        let turn = next.max(self.promised).min(now + LONGEST);
        let wait = turn - now;
        if wait <= patience {
            self.promised = turn + self.time_for(1.0, turn);
        }
        Err(wait)
    }

    /// Gives back a turn that was not used.
    pub(super) fn returned(&mut self) {
        self.tokens += 1.0;
    }

    /// Whether the last refusal is so long ago that it says nothing any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.refused_at) >= LIFETIME
    }

    fn rate(&self, now: Instant) -> f64 {
        let time = now.saturating_duration_since(self.since);
        self.low + self.growth * time.as_secs_f64()
    }

    fn start(&mut self, low: f64, growth: f64, now: Instant) {
        self.fill(now);
        (self.low, self.growth, self.since) = (low, growth, now);
    }

    /// How long it takes to gain so many requests, while the rate grows.
    fn time_for(&self, requests: f64, from: Instant) -> Duration {
        let rate = self.rate(from);
        let later = (rate * rate + 2.0 * self.growth * requests).sqrt();
        Duration::try_from_secs_f64(2.0 * requests / (rate + later)).unwrap_or(LONGEST)
    }

    fn fill(&mut self, now: Instant) {
        let (before, rate) = (self.rate(self.filled_at), self.rate(now));
        let time = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let gained = f64::midpoint(before, rate) * time;
        self.tokens = (self.tokens + gained).min((rate * BURST).max(1.0));
        self.filled_at = now;
    }
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, count: 0, last: 0 }
    }

    pub(super) fn count(&mut self, now: Instant) {
        self.roll(now);
        self.count += 1;
    }

    /// About how many there were in the last second.
    pub(super) fn rate(&mut self, now: Instant) -> f64 {
        self.roll(now);
        let begun = (now - self.since).as_secs_f64();
        f64::from(self.last) * (1.0 - begun) + f64::from(self.count)
    }

    fn roll(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        if seconds > 0 {
            self.last = if seconds == 1 { self.count } else { 0 };
            self.count = 0;
            self.since += Duration::from_secs(seconds);
        }
    }
}

#[cfg(test)]
#[path = "limit_tests.rs"]
mod tests;
