use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How many of many eager requests go in this time, all of them `taken` or refused.
fn passed(limit: &mut Limit, from: Instant, time: Duration) -> u32 {
    let steps = u32::try_from(time.as_millis()).unwrap();
    let turns = (0..steps).map(|step| limit.turn(from + step * MS, Duration::ZERO));
    u32::try_from(turns.flatten().count()).unwrap()
}

#[test]
fn a_refusal_halves_the_rate_and_half_a_minute_brings_it_back() {
    let now = Instant::now();
    for (rate, low) in [(200.0, 100.0), (10.0, 5.0), (2.0, 1.0), (0.0, 1.0)] {
        let mut limit = Limit::new(rate, now);
        // Not before the upstream takes a request.
        assert!((limit.rate(now + RECOVERY) - low).abs() < 1e-9, "{rate}");
        limit.taken(now, now);
        let after = |time| limit.rate(now + time);
        assert!((after(Duration::ZERO) - low).abs() < 1e-9, "{rate}");
        assert!((after(RECOVERY / 2) - 1.5 * low).abs() < 1e-9, "{rate}");
        assert!((after(RECOVERY) - 2.0 * low).abs() < 1e-9, "{rate}");
    }
}

#[test]
fn no_more_go_than_the_rate_allows() {
    let now = Instant::now();
    let mut limit = Limit::new(20.0, now);
    assert!(limit.turn(now, Duration::ZERO).is_err());
    assert!((9..=10).contains(&passed(&mut limit, now, SECOND)));
    // After a pause, a quarter of a second's requests go at once.
    let later = now + 10 * SECOND;
    let at_once = (0..100).filter(|_| limit.turn(later, Duration::ZERO).is_ok()).count();
    assert_eq!(at_once, 2);
}

#[test]
fn refusals_of_what_was_under_way_count_once() {
    let now = Instant::now();
    let mut limit = Limit::new(64.0, now);
    for sent in [now - SECOND, now - MS] {
        limit.refused(sent, now + SECOND);
    }
    assert!((limit.rate(now + SECOND) - 32.0).abs() < 1e-9);
    limit.refused(now + MS, now + SECOND);
    assert!((limit.rate(now + SECOND) - 16.0).abs() < 1e-9);
}

#[test]
fn while_all_is_refused_the_rate_falls_and_then_half_of_it_is_back() {
    let now = Instant::now();
    let mut limit = Limit::new(64.0, now);
    for step in 1..20 {
        limit.refused(now + step * MS, now + step * MS);
    }
    assert!((limit.rate(now + SECOND) - SLOWEST).abs() < 1e-9);
    // One that was sent before the last refusal is no sign.
    limit.taken(now, now + SECOND);
    assert!((limit.rate(now + SECOND) - SLOWEST).abs() < 1e-9);
    limit.taken(now + SECOND, now + SECOND);
    assert!((limit.rate(now + SECOND) - 32.0).abs() < 1e-9);
    // The next refusal is another story.
    limit.refused(now + SECOND, now + SECOND);
    limit.taken(now + SECOND, now + SECOND);
    assert!((limit.rate(now + SECOND) - 16.0).abs() < 1e-9);
}

#[test]
fn those_who_wait_are_told_different_times() {
    let now = Instant::now();
    let mut limit = Limit::new(20.0, now);
    let mut told = |patience| limit.turn(now, patience).unwrap_err().as_millis();
    assert_eq!([(); 3].map(|()| told(SECOND)), [100, 200, 300]);
    // Who will not wait so long takes nobody's time.
    assert_eq!([(); 3].map(|()| told(SECOND / 4)), [400, 400, 400]);
    assert_eq!(told(SECOND), 400);
    let last = (0..1000).map(|_| told(LONGEST)).last().unwrap();
    assert_eq!(last, LONGEST.as_millis());
}

#[test]
fn who_comes_when_he_was_told_has_his_turn_and_the_rate_grows_meanwhile() {
    let now = Instant::now();
    let mut limit = Limit::new(2.0, now);
    limit.taken(now, now);
    let told: Vec<_> = (0..10).map(|_| limit.turn(now, LONGEST).unwrap_err()).collect();
    assert!(told.windows(2).all(|pair| pair[1] < pair[0] + SECOND), "{told:?}");
    assert!(told.iter().all(|wait| limit.turn(now + *wait + MS, Duration::ZERO).is_ok()));
}

#[test]
fn a_turn_that_was_not_used_goes_to_the_next() {
    let now = Instant::now();
    let mut limit = Limit::new(2.0, now);
    let later = now + SECOND;
    assert_eq!(limit.turn(later, Duration::ZERO), Ok(()));
    limit.returned();
    assert_eq!(limit.turn(later, Duration::ZERO), Ok(()));
    assert!(limit.turn(later, Duration::ZERO).is_err());
}

#[test]
fn a_limit_ends_when_there_were_no_refusals_for_long() {
    let now = Instant::now();
    let mut limit = Limit::new(2.0, now);
    assert!(!limit.is_over(now + LIFETIME - MS));
    assert!(limit.is_over(now + LIFETIME));
    limit.refused(now + SECOND, now + SECOND);
    assert!(!limit.is_over(now + LIFETIME));
}

/// An upstream that takes so many requests in each window and refuses all others.
fn throttled(limit: u32, window: Duration, demand: Duration, time: Duration) -> (u32, u32) {
    let begun = Instant::now();
    let (mut learned, mut used, mut from) = (None::<Limit>, 0, begun);
    let (mut taken, mut refused) = (0, 0);
    let mut now = begun;
    while now < begun + time {
        now += demand;
        if now - from >= window {
            (used, from) = (0, now);
        }
        if learned.as_mut().is_some_and(|it| it.turn(now, Duration::ZERO).is_err()) {
            continue;
        }
        used += 1;
        if used > limit {
            refused += 1;
            let rate = 1.0 / demand.as_secs_f64();
            learned.get_or_insert_with(|| Limit::new(rate, now)).refused(now, now);
        } else {
            taken += 1;
            if let Some(learned) = &mut learned {
                learned.taken(now, now);
            }
        }
    }
    (taken, refused)
}

#[test]
fn it_finds_the_rate_of_an_upstream_that_never_says_it() {
    for (limit, window) in
        [(5, SECOND), (20, SECOND), (100, SECOND), (6000, 60 * SECOND), (200, 300 * SECOND)]
    {
        let minutes = 10;
        let (taken, refused) = throttled(limit, window, 4 * MS, minutes * 60 * SECOND);
        let most = limit * minutes * 60 / u32::try_from(window.as_secs()).unwrap();
        // Without a limit, it would be 150,000 and more.
        assert!(refused < 300, "{refused} refused at {limit} per {window:?}");
        assert!(taken > most / 2, "{taken} of {most} taken at {limit} per {window:?}");
    }
}

#[test]
fn a_meter_knows_about_the_last_second() {
    let now = Instant::now();
    let mut meter = Meter::new(now);
    for step in 0..2000 {
        meter.count(now + step * MS);
    }
    for (after, expected) in [(2000, 1000.0), (2500, 500.0), (2999, 1.0), (4000, 0.0), (9999, 0.0)]
    {
        let rate = meter.rate(now + after * MS);
        assert!((rate - expected).abs() < 1.5, "{rate} after {after} ms");
    }
}
