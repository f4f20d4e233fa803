//! What must hold of every history.

use std::time::Duration;

use jiff::Timestamp;
use jobgate::watch::{Config, End, Event, Refusal};

use super::{
    viewer::{History, Outcome},
    world::World,
};

/// Checks one watch.
pub(super) fn check(history: &History, config: &Config, world: &World) {
    states_are_the_upstreams_own(history, world);
    the_latest_state_wins(history, world);
    times_never_go_back(history);
    only_changes_are_told(history);
    ok_means_finished(history);
    no_silence_beyond_the_heartbeat(history, config);
    ends_are_in_time(history, config);
    only_what_may_pass_is_borne(history);
}

/// Checks the watches of one viewer, each of which went on where the last one was cut off.
pub(super) fn check_in_a_row(visits: &[History]) {
    let observed: Vec<_> =
        visits.iter().flat_map(|it| it.told.iter().map(|it| at(&it.event))).collect();
    assert!(observed.is_sorted(), "observe times went back between watches");
    let steps: Vec<_> =
        visits.iter().flat_map(|it| it.states().map(|(view, ..)| view.step)).collect();
    assert!(steps.is_sorted_by(|a, b| a < b), "a state was told twice or went back: {steps:?}");
}

fn at(event: &Event<super::world::View>) -> Timestamp {
    match event {
        Event::Changed { observed, .. } | Event::Heartbeat { observed, .. } => *observed,
    }
}

fn states_are_the_upstreams_own(history: &History, world: &World) {
    for told in &history.told {
        let (Event::Changed { view, .. } | Event::Heartbeat { view, .. }) = &told.event;
        assert_eq!(view.job, history.job, "another job");
        assert_eq!(view.credential, history.credential, "fetched with another credential");
        assert!(world.gave(view), "a state that the upstream never had: {view:?}");
    }
}

fn the_latest_state_wins(history: &History, world: &World) {
    // A slow viewer may hear of the last state of a poller that is gone when others have begun anew.
    let late = history.told.last().filter(|_| !history.prompt).map(|told| told.when);
    for (view, observed, told) in history.states().filter(|(.., told)| Some(told.when) != late) {
        let latest = world.latest(&history.job, &history.credential, told.answers);
        assert_eq!(latest, Some((view.step, observed)), "not the latest state");
    }
}

fn times_never_go_back(history: &History) {
    let observed: Vec<_> = history.told.iter().map(|told| at(&told.event)).collect();
    assert!(observed.is_sorted(), "observe times went back: {observed:?}");
}

/// Also: a heartbeat names the state that was told last, so that its resume token is safe to keep.
fn only_changes_are_told(history: &History) {
    let mut last = history.resumed.clone();
    for told in &history.told {
        match &told.event {
            Event::Changed { view, .. } => {
                assert_ne!(last.as_ref(), Some(view), "the same state twice");
                last = Some(view.clone());
            }
            Event::Heartbeat { view, .. } => {
                assert_eq!(last.as_ref(), Some(view), "a heartbeat of a state never told");
            }
        }
    }
}

fn ok_means_finished(history: &History) {
    let terminal = history.states().filter(|(view, ..)| view.terminal).count();
    assert!(terminal <= 1, "the last state {terminal} times");
    let finished = history.last_seen().is_some_and(|view| view.terminal);
    match &history.outcome {
        Outcome::Ended(End::Completed) => {
            assert!(finished, "OK without a last state");
        }
        // Who leaves may leave between the last state and the end.
        Outcome::Left => {}
        other => assert_eq!(terminal, 0, "a last state, and then {other:?}"),
    }
    if let Some(last) = history.told.last()
        && terminal == 1
    {
        assert!(matches!(last.event, Event::Changed { .. }), "something after the last state");
    }
}

fn no_silence_beyond_the_heartbeat(history: &History, config: &Config) {
    if !history.prompt {
        return;
    }
    for pair in history.told.windows(2) {
        let silence = pair[1].when - pair[0].when;
        assert!(silence <= config.heartbeat + TICK, "silent for {silence:?}");
    }
    if let Some(last) = history.told.last() {
        let silence = history.ended - last.when;
        assert!(silence <= config.heartbeat + TICK, "silent for {silence:?} before the end");
    }
}

/// The clock's grain.
const TICK: Duration = Duration::from_millis(2);

fn ends_are_in_time(history: &History, config: &Config) {
    let lived = history.ended - history.opened;
    match &history.outcome {
        Outcome::Ended(End::Expired) => {
            assert!(lived >= config.max_age.mul_f64(0.8), "expired after {lived:?}");
        }
        Outcome::Ended(End::DeadlineExceeded) => {
            let deadline = history.deadline.expect("a deadline that nobody set");
            assert!(history.ended >= deadline, "a deadline before its time");
            assert!(history.ended - deadline <= TICK, "a deadline kept late");
        }
        Outcome::Ended(End::Lost) | Outcome::Refused(Refusal::Lost) => panic!("a poller was lost"),
        _ => {}
    }
    if history.prompt {
        // Opening takes a poll's time, and no poll here takes longer than this.
        let longest = config.max_age + Duration::from_secs(13) + TICK;
        assert!(lived <= longest, "a watch of {lived:?}");
    }
}

fn only_what_may_pass_is_borne(history: &History) {
    for told in &history.told {
        if let Event::Heartbeat { trouble: Some(error), .. } = &told.event {
            assert!(!error.is_lasting(), "borne: {error:?}");
        }
    }
    match &history.outcome {
        Outcome::Ended(End::OutOfPatience(error)) => {
            assert!(!error.is_lasting(), "borne: {error:?}");
        }
        Outcome::Ended(End::Failed(error)) => assert!(error.is_lasting(), "not borne: {error:?}"),
        _ => {}
    }
}
