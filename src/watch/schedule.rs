//! When to poll: pure arithmetic of time.

use std::time::Duration;

use tokio::time::Instant;

use super::Config;

/// When a poller polls next, and when it gives up.
#[derive(Debug)]
pub(super) struct Schedule {
    min: Duration,
    max: Duration,
    patience: Duration,
    interval: Duration,
    failing_since: Option<Instant>,
}

/// What follows a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// When to poll again, or to give up.
    pub(super) at: Instant,
    pub(super) step: Step,
    /// Until then, a newcomer is told what this poll brought instead of causing another.
    pub(super) fresh_until: Instant,
}

/// What to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Poll,
    GiveUp,
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn new(config: &Config) -> Self {
        let Config { poll_min, poll_max, patience, .. } = *config;
        let max = poll_max.max(poll_min);
        Self { min: poll_min, max, patience, interval: poll_min, failing_since: None }
    }

    /// A poll brought the job, as it was before or changed.
    pub(super) fn answered(&mut self, now: Instant, changed: bool) -> Next {
        self.failing_since = None;
        if changed {
            self.interval = self.min;
        }
        let at = now + self.grow();
        Next { at, step: Step::Poll, fresh_until: at }
    }

    /// A poll failed in a way that may pass. `jitter` is from 0 to 1 and keeps pollers that failed
    /// together from coming back together.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Next {
        let since = *self.failing_since.get_or_insert(now);
        let backoff = self.grow();
        let backoff = backoff + backoff.mul_f64(jitter.clamp(0.0, 1.0) / 5.0);
        let asked = retry_after.unwrap_or_default();
        let (poll, give_up) = (now + backoff.max(asked), since + self.patience);
        let (at, step) = if poll < give_up { (poll, Step::Poll) } else { (give_up, Step::GiveUp) };
        Next { at, step, fresh_until: now + self.min.max(asked) }
    }

    /// The interval as it was, which is then longer by half for the next time.
    fn grow(&mut self) -> Duration {
        let interval = self.interval;
        self.interval = (interval + interval / 2).min(self.max);
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule() -> Schedule {
        Schedule::new(&Config {
            poll_min: 2 * SECOND,
            poll_max: 15 * SECOND,
            patience: 300 * SECOND,
            ..Config::default()
        })
    }

    fn millis(next: Next, now: Instant) -> u128 {
        assert_eq!(next.step, Step::Poll);
        (next.at - now).as_millis()
    }

    #[test]
    fn the_interval_grows_by_half_to_its_maximum_and_falls_back_on_change() {
        let (mut schedule, now) = (schedule(), Instant::now());
        assert_eq!(millis(schedule.answered(now, true), now), 2000);
        let unchanged = [(); 7].map(|()| millis(schedule.answered(now, false), now));
        assert_eq!(unchanged, [3000, 4500, 6750, 10125, 15000, 15000, 15000]);
        assert_eq!(millis(schedule.answered(now, true), now), 2000);
        assert_eq!(millis(schedule.answered(now, false), now), 3000);
    }

    #[test]
    fn a_maximum_below_the_minimum_is_the_minimum() {
        let config = Config { poll_min: 5 * SECOND, poll_max: 2 * SECOND, ..Config::default() };
        let (mut schedule, now) = (Schedule::new(&config), Instant::now());
        assert_eq!([(); 3].map(|()| millis(schedule.answered(now, false), now)), [5000; 3]);
    }

    #[test]
    fn failures_back_off_with_jitter_of_a_fifth_at_most() {
        let now = Instant::now();
        for (jitter, expected) in
            [(0.0, [2000, 3000, 4500]), (1.0, [2400, 3600, 5400]), (9.0, [2400, 3600, 5400])]
        {
            let mut schedule = schedule();
            let waits = [(); 3].map(|()| millis(schedule.failed(now, None, jitter), now));
            assert_eq!(waits, expected, "{jitter}");
        }
    }

    #[test]
    fn patience_counts_from_the_first_failure_in_a_row() {
        let (mut schedule, start) = (schedule(), Instant::now());
        let give_up = |next: Next| (next.step == Step::GiveUp).then_some(next.at);
        assert_eq!(give_up(schedule.failed(start, None, 0.0)), None);
        let late = start + 299 * SECOND;
        assert_eq!(give_up(schedule.failed(late, None, 0.0)), Some(start + 300 * SECOND));
        schedule.answered(late, false);
        assert_eq!(give_up(schedule.failed(late, None, 0.0)), None);
        let later = late + 300 * SECOND;
        assert_eq!(give_up(schedule.failed(later, None, 0.0)), Some(later));
    }

    #[test]
    fn retry_after_is_waited_for_and_never_shortens_a_wait() {
        let now = Instant::now();
        for (asked, poll, fresh) in [(None, 2, 2), (Some(1), 2, 2), (Some(60), 60, 60)] {
            let next = schedule().failed(now, asked.map(Duration::from_secs), 0.0);
            assert_eq!(next.at, now + poll * SECOND, "{asked:?}");
            assert_eq!(next.fresh_until, now + fresh * SECOND, "{asked:?}");
        }
        let next = schedule().failed(now, Some(3600 * SECOND), 0.0);
        assert_eq!((next.at, next.step), (now + 300 * SECOND, Step::GiveUp));
    }

    #[test]
    fn a_state_is_news_until_the_next_poll_and_a_failure_for_the_shortest_interval() {
        let (mut schedule, now) = (schedule(), Instant::now());
        for _ in 0..4 {
            let next = schedule.answered(now, false);
            assert_eq!(next.fresh_until, next.at);
        }
        assert_eq!(schedule.failed(now, None, 0.0).fresh_until, now + 2 * SECOND);
    }
}
