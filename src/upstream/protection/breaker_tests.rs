use super::*;

const MS: Duration = Duration::from_millis(1);

/// A breaker that has just opened for half a second, and the ticket of a request that is still under
/// way.
fn open(now: Instant) -> (Breaker, Ticket) {
    let mut breaker = Breaker::new();
    let late = breaker.admit(now).unwrap();
    for _ in 1..MAX_FAILURES {
        let ticket = breaker.admit(now).unwrap();
        assert_eq!(breaker.failed(ticket, now, 0.0), None);
    }
    let ticket = breaker.admit(now).unwrap();
    assert_eq!(breaker.failed(ticket, now, 0.0), Some(500 * MS));
    (breaker, late)
}

#[test]
fn it_opens_after_failures_in_a_row_only() {
    let (mut breaker, now) = (Breaker::new(), Instant::now());
    for _ in 0..10 * MAX_FAILURES {
        for _ in 1..MAX_FAILURES {
            let ticket = breaker.admit(now).unwrap();
            assert_eq!(breaker.failed(ticket, now, 0.0), None);
        }
        let ticket = breaker.admit(now).unwrap();
        assert!(!breaker.succeeded(ticket));
    }
    assert_eq!(breaker.level(), 0);
}

#[test]
fn one_probe_goes_when_the_wait_is_over() {
    let now = Instant::now();
    let (mut breaker, _) = open(now);
    assert_eq!(breaker.level(), 1);
    for (after, left) in [(0, 500), (1, 499), (499, 1)] {
        assert_eq!(breaker.admit(now + after * MS), Err(left * MS), "{after}");
    }
    let probe = breaker.admit(now + 500 * MS).unwrap();
    assert_eq!(breaker.level(), 2);
    assert_eq!(breaker.admit(now + 5000 * MS), Err(500 * MS));
    assert!(breaker.succeeded(probe));
    assert_eq!((breaker.level(), breaker.refuses(now)), (0, None));
    // From here on, it takes as many failures as at first.
    let ticket = breaker.admit(now).unwrap();
    assert_eq!(breaker.failed(ticket, now, 0.0), None);
}

#[test]
fn waits_double_to_a_limit_with_jitter_and_fall_back() {
    for (jitter, expected) in [
        (0.0, [1000, 2000, 4000, 8000, 15_000, 15_000]),
        (0.5, [1500, 3000, 6000, 12_000, 22_500, 22_500]),
        (9.0, [2000, 4000, 8000, 16_000, 30_000, 30_000]),
    ] {
        let mut now = Instant::now();
        let (mut breaker, _) = open(now);
        let mut wait = 500 * MS;
        for expected in expected {
            now += wait;
            let probe = breaker.admit(now).unwrap();
            wait = breaker.failed(probe, now, jitter).unwrap();
            assert_eq!(wait, expected * MS, "{jitter}");
        }
        let probe = breaker.admit(now + wait).unwrap();
        breaker.succeeded(probe);
        for _ in 1..MAX_FAILURES {
            let ticket = breaker.admit(now).unwrap();
            breaker.failed(ticket, now, jitter);
        }
        let ticket = breaker.admit(now).unwrap();
        let wait = breaker.failed(ticket, now, jitter).unwrap();
        assert!(wait <= 1000 * MS, "{wait:?}");
    }
}

#[test]
fn what_was_sent_before_a_change_says_nothing_of_now() {
    let now = Instant::now();
    let (mut breaker, late) = open(now);
    assert!(!breaker.succeeded(late));
    assert_eq!(breaker.failed(late, now, 0.0), None);
    assert_eq!(breaker.refuses(now), Some(500 * MS));
    let probe = breaker.admit(now + 500 * MS).unwrap();
    assert!(!breaker.succeeded(late));
    breaker.abandoned(late, now);
    assert_eq!(breaker.level(), 2);
    assert!(breaker.succeeded(probe));
    assert_eq!(breaker.failed(probe, now, 0.0), None);
}

#[test]
fn a_probe_that_nobody_waits_for_leaves_its_turn_to_the_next() {
    let now = Instant::now();
    let (mut breaker, _) = open(now);
    let later = now + 600 * MS;
    let probe = breaker.admit(later).unwrap();
    breaker.abandoned(probe, later);
    let next = breaker.admit(later).unwrap();
    assert_eq!(breaker.level(), 2);
    assert_eq!(breaker.failed(next, later, 0.0), Some(1000 * MS));
}
