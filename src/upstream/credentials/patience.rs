//! How long to wait before credentials are asked for again. Arithmetic of time.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Waits of a [`super::Keeper`].
pub(super) struct Patience {
    rejections: ExponentialBackoff,
    failures: ExponentialBackoff,
}

// === impl Patience ===

impl Patience {
    pub(super) fn new() -> Self {
        Self { rejections: after_rejections(), failures: after_failures() }
    }

    /// The wait after credentials were refused. Asking again soon would lock them.
    pub(super) fn refused(&mut self) -> Duration {
        self.rejections.next().unwrap_or(REJECTIONS.1)
    }

    /// The wait after nobody answered.
    pub(super) fn failed(&mut self) -> Duration {
        self.failures.next().unwrap_or(FAILURES.1)
    }

    /// There is an answer again.
    pub(super) fn answered(&mut self) {
        *self = Self::new();
    }
}

/// From five minutes, doubled up to twenty, each with up to as much again: so there are never more
/// than two tries in a quarter of an hour. The clouds lock a user after five wrong passwords in that
/// time, and every replica tries.
const REJECTIONS: (Duration, Duration) = (Duration::from_mins(5), Duration::from_mins(20));

/// From half a second to a quarter of a minute, each with up to as much again.
const FAILURES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

fn after_rejections() -> ExponentialBackoff {
    growing(REJECTIONS)
}

fn after_failures() -> ExponentialBackoff {
    growing(FAILURES)
}

fn growing((min, max): (Duration, Duration)) -> ExponentialBackoff {
    let waits = ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).with_factor(2.0);
    waits.without_max_times().with_jitter().build()
}

/// How long after its issue a pass is renewed: when 80 to 90 % of its life are over, so that
/// replicas that started together do not renew together. `jitter` is from 0 to 1.
pub(super) fn renewal(lifetime: Duration, jitter: f64) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(1);

    lifetime.mul_f64(0.8 + 0.1 * jitter.clamp(0.0, 1.0)).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_fall_back() {
        let mut patience = Patience::new();
        let bounds = |wait: Duration, min: u64| {
            let min = Duration::from_secs(min);
            assert!((min..=2 * min).contains(&wait), "{wait:?} after {min:?}");
        };
        for min in [300, 600, 1200, 1200] {
            bounds(patience.refused(), min);
        }
        for _ in 0..5 {
            patience.failed();
        }
        bounds(patience.failed(), 15);
        patience.answered();
        bounds(patience.refused(), 300);
        assert!(patience.failed() <= Duration::from_secs(1));
    }

    #[test]
    fn there_are_at_most_two_tries_in_a_quarter_of_an_hour() {
        for _ in 0..100 {
            let mut patience = Patience::new();
            let waits = [(); 10].map(|()| patience.refused());
            for pair in waits.windows(2) {
                assert!(pair[0] + pair[1] > Duration::from_mins(15) - Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn a_pass_is_renewed_well_before_its_end_and_not_all_the_time() {
        for (lifetime, jitter, expected) in [
            (86_400, 0.0, 69_120),
            (86_400, 1.0, 77_760),
            (900, 0.5, 765),
            (10, 9.0, 9),
            (0, 0.0, 1),
        ] {
            let renewal = renewal(Duration::from_secs(lifetime), jitter);
            assert_eq!(renewal.as_secs(), expected, "{lifetime} {jitter}");
        }
    }
}
