//! Watches under a paused clock.

mod source;

use tokio::time::{advance, sleep, timeout};

use self::source::{Reply, Scripted, error, running, success};
use super::*;
use crate::upstream::{ErrorKind, Token};

const SECOND: Duration = Duration::from_secs(1);

type Text = String;

fn watches(source: &Scripted) -> Watches<Scripted, Text> {
    with(source, Config::default())
}

fn with(source: &Scripted, config: Config) -> Watches<Scripted, Text> {
    Watches::new(config, source.clone(), |job| {
        Some(job.job_type.clone()).filter(|text| text != "too large")
    })
}

async fn open_as(
    watches: &Watches<Scripted, Text>,
    job: &str,
    token: &[u8],
) -> Result<Watcher<Text>, Refusal> {
    let path = JobPath::parse("p", job).unwrap();
    let token = Credential::from(Token::parse(token).unwrap());
    watches.open(&path, &token, &Arc::default(), None).await.0
}

async fn open(watches: &Watches<Scripted, Text>) -> Result<Watcher<Text>, Refusal> {
    open_as(watches, "j", b"t").await
}

/// What a watcher is told next: `+` a state, `~` a heartbeat, with `!` if there is trouble.
async fn next(watcher: &mut Watcher<Text>) -> String {
    match watcher.next().await {
        Ok(Event::Changed { view, observed }) => format!("+{view} {}", observed.as_second()),
        Ok(Event::Heartbeat { view, observed, trouble }) => {
            let trouble = trouble.map(|error| format!(" !{:?}", error.kind)).unwrap_or_default();
            format!("~{view} {}{trouble}", observed.as_second())
        }
        Err(End::Failed(error)) => format!("failed {:?}", error.kind),
        Err(End::OutOfPatience(error)) => format!("out of patience {:?}", error.kind),
        Err(end) => format!("{end:?}"),
    }
}

fn kind(refusal: Refusal) -> ErrorKind {
    match refusal {
        Refusal::Failed(error) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once_and_the_last_state_ends_the_watch() {
    let source = Scripted::new([running("a"), running("a"), running("b"), success("c")]);
    let watches = watches(&source);
    let mut watcher = open(&watches).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    assert_eq!(next(&mut watcher).await, "+b 5");
    assert_eq!(next(&mut watcher).await, "+c 7");
    assert_eq!(next(&mut watcher).await, "Completed");
    assert_eq!(source.asked(), [0, 2000, 5000, 7000]);
}

#[tokio::test(start_paused = true)]
async fn the_first_error_is_the_calls_own() {
    for lasting in [ErrorKind::JobNotFound, ErrorKind::CredentialsRejected, ErrorKind::Unavailable]
    {
        let source = Scripted::new([Reply::Error(lasting), running("a")]);
        let watches = watches(&source);
        assert_eq!(kind(open(&watches).await.err().unwrap()), lasting);
        // And nothing of it is left.
        assert_eq!(next(&mut open(&watches).await.unwrap()).await, "+a 0");
    }
}

#[tokio::test(start_paused = true)]
async fn lasting_errors_end_the_watch() {
    let source = Scripted::new([running("a"), Reply::Error(ErrorKind::JobNotFound)]);
    let watches = watches(&source);
    let mut watcher = open(&watches).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    assert_eq!(next(&mut watcher).await, "failed JobNotFound");
    assert_eq!(source.asked(), [0, 2000]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_grows_too_large_ends_the_watch() {
    let source = Scripted::new([running("a"), running("too large")]);
    let mut watcher = open(&watches(&source)).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    assert_eq!(next(&mut watcher).await, "failed ResponseTooLarge");
}

#[tokio::test(start_paused = true)]
async fn faults_that_may_pass_are_told_in_heartbeats_until_patience_ends() {
    let source = Scripted::new([running("a"), Reply::Error(ErrorKind::Unavailable)]);
    let config = Config { patience: 60 * SECOND, ..Config::default() };
    let begun = Instant::now();
    let mut watcher = open(&with(&source, config)).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    for _ in 0..3 {
        assert_eq!(next(&mut watcher).await, "~a 0 !Unavailable");
    }
    assert_eq!(next(&mut watcher).await, "out of patience Unavailable");
    // The first failure was after two seconds.
    assert_eq!(begun.elapsed().as_secs(), 62);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_passes_is_forgotten() {
    let down = Reply::Error(ErrorKind::Unreachable);
    let source = Scripted::new([running("a"), down.clone(), down, running("a")]);
    let mut watcher = open(&watches(&source)).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    let heartbeat = next(&mut watcher).await;
    assert!(heartbeat.starts_with("~a ") && !heartbeat.contains('!'), "{heartbeat}");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_after_silence_only() {
    let late = Reply::After(24 * SECOND, Box::new(running("b")));
    let source = Scripted::new([running("a"), late, running("b")]);
    let mut watcher = open(&watches(&source)).await.unwrap();
    let begun = Instant::now();
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push((next(&mut watcher).await, begun.elapsed().as_secs()));
    }
    let expected = [("+a 0", 0), ("~a 0", 20), ("+b 26", 26)];
    for ((told, at), (text, second)) in told.iter().zip(expected) {
        assert_eq!((told.as_str(), *at), (text, second));
    }
    assert_eq!(told[3].1, 46);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_watchers_cost_one_poller() {
    let source = Scripted::new([running("a"), running("b"), success("c")]);
    let watches = watches(&source);
    let mut watchers = futures_util::future::join_all((0..100).map(|_| open(&watches))).await;
    for expected in ["+a 0", "+b 2", "+c 4", "Completed"] {
        for watcher in &mut watchers {
            assert_eq!(next(watcher.as_mut().unwrap_or_else(|_| panic!())).await, expected);
        }
    }
    assert_eq!(source.asked(), [0, 2000, 4000]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shared_across_credentials_or_jobs() {
    let source = Scripted::new([running("a"), running("b"), running("c")]);
    let watches = watches(&source);
    for (job, token, expected) in [("j", b"t1", "+a 0"), ("j", b"t2", "+b 0"), ("k", b"t1", "+c 0")]
    {
        let mut watcher = open_as(&watches, job, token).await.unwrap();
        assert_eq!(next(&mut watcher).await, expected);
        std::mem::forget(watcher);
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_gets_the_state_of_the_present_interval_and_waits_for_a_poll_under_way() {
    let late = Reply::After(5 * SECOND, Box::new(running("b")));
    let source = Scripted::new([running("a"), late, running("b")]);
    let watches = watches(&source);
    let mut first = open(&watches).await.unwrap();
    assert_eq!(next(&mut first).await, "+a 0");
    advance(1900 * SECOND / 1000).await;
    assert_eq!(next(&mut open(&watches).await.unwrap()).await, "+a 0");
    sleep(SECOND).await;
    assert_eq!(source.asked().len(), 2);
    // The state is older than an interval: only the answer will do.
    assert_eq!(next(&mut open(&watches).await.unwrap()).await, "+b 7");
    assert_eq!(source.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_polls_fail_a_newcomer_is_told_so_or_asks_anew() {
    let down = Reply::Error(ErrorKind::Unavailable);
    let source = Scripted::new([running("a"), down.clone(), down.clone(), down.clone(), down]);
    let config = Config { poll_max: 100 * SECOND, ..Config::default() };
    let watches = with(&source, config);
    let _first = open(&watches).await.unwrap();
    while source.asked().len() < 4 {
        sleep(SECOND / 10).await;
    }
    let asked = source.asked();
    sleep(SECOND).await;
    assert_eq!(kind(open(&watches).await.err().unwrap()), ErrorKind::Unavailable);
    assert_eq!(source.asked(), asked, "an error of now is good enough");
    source.goes_on_with([running("b")]);
    sleep(3 * SECOND).await;
    assert_eq!(source.asked(), asked, "the next poll is not due");
    let told = next(&mut open(&watches).await.unwrap()).await;
    assert!(told.starts_with("+b "), "{told}");
    assert_eq!(source.asked().len(), asked.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_watching_means_no_polls() {
    let source = Scripted::new([running("a")]);
    let watches = watches(&source);
    let (one, two) = (open(&watches).await.unwrap(), open(&watches).await.unwrap());
    sleep(3 * SECOND).await;
    drop(one);
    sleep(3 * SECOND).await;
    assert_eq!(source.asked(), [0, 2000, 5000]);
    drop(two);
    sleep(60 * SECOND).await;
    assert_eq!(source.asked(), [0, 2000, 5000]);
}

#[tokio::test(start_paused = true)]
async fn the_last_watcher_takes_a_poll_under_way_along() {
    let late = Reply::After(10 * SECOND, Box::new(running("a")));
    let source = Scripted::new([late]);
    let watches = watches(&source);
    assert!(timeout(SECOND, open(&watches)).await.is_err());
    sleep(60 * SECOND).await;
    assert_eq!((source.asked().len(), source.answered()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_all_jobs_of_a_credential() {
    let source = Scripted::new([running("a")]);
    let watches = watches(&source);
    let _watchers = [
        open_as(&watches, "j1", b"t1").await.unwrap(),
        open_as(&watches, "j2", b"t1").await.unwrap(),
        open_as(&watches, "j3", b"t2").await.unwrap(),
    ];
    source.goes_on_with([Reply::Throttle(30 * SECOND), running("a")]);
    sleep(31 * SECOND).await;
    assert_eq!(source.asked_for("j1"), [0, 2000], "the one that was throttled");
    assert_eq!(source.asked_for("j2"), [0], "the same credential");
    assert!(source.asked_for("j3").len() > 3, "another credential");
    let refused = open_as(&watches, "j4", b"t1").await.err().unwrap();
    let Refusal::Failed(error) = refused else { panic!("{refused:?}") };
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(SECOND)));
    sleep(2 * SECOND).await;
    assert_eq!(source.asked_for("j1"), [0, 2000, 32_000]);
    assert_eq!(source.asked_for("j2"), [0, 32_000]);
    assert!(source.asked_for("j4").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_watch_expires_after_its_age_less_a_fifth_at_most() {
    let source = Scripted::new([running("a")]);
    let config = Config { max_age: 1000 * SECOND, heartbeat: 5000 * SECOND, ..Config::default() };
    let watches = with(&source, config);
    let begun = Instant::now();
    let mut ages = Vec::new();
    let mut watchers = Vec::new();
    for _ in 0..50 {
        watchers.push(open(&watches).await.unwrap());
    }
    for watcher in &mut watchers {
        assert_eq!(next(watcher).await, "+a 0");
    }
    let ends = watchers.iter_mut().map(async |watcher| (next(watcher).await, begun.elapsed()));
    for (end, age) in futures_util::future::join_all(ends).await {
        assert_eq!(end, "Expired");
        ages.push(age.as_secs());
    }
    assert!(ages.iter().all(|age| (800..=1000).contains(age)), "{ages:?}");
    assert!(ages.iter().max().unwrap() - ages.iter().min().unwrap() > 50, "{ages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept() {
    let source = Scripted::new([running("a")]);
    let watches = watches(&source);
    let path = JobPath::parse("p", "j").unwrap();
    let token = Credential::from(Token::parse(b"t").unwrap());
    let deadline = Instant::now() + 7 * SECOND;
    let (watcher, _) = watches.open(&path, &token, &Arc::default(), Some(deadline)).await;
    let mut watcher = watcher.unwrap_or_else(|_| panic!());
    assert_eq!(next(&mut watcher).await, "+a 0");
    assert_eq!(next(&mut watcher).await, "DeadlineExceeded");
    assert!(deadline.elapsed() < Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn a_known_state_is_left_out() {
    let source = Scripted::new([running("a"), running("a"), success("b")]);
    let watches = watches(&source);
    let mut watcher = open(&watches).await.unwrap();
    watcher.skip(|text| text == "a");
    assert_eq!(next(&mut watcher).await, "+b 5");
    let mut knows_all = open(&watches).await.unwrap();
    knows_all.skip(|text| text == "b");
    assert_eq!(next(&mut knows_all).await, "Completed");
    let mut knows_other = open(&watches).await.unwrap();
    knows_other.skip(|text| text == "a");
    assert_eq!(next(&mut knows_other).await, "+b 5");
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_sees_the_latest_state_only() {
    let source = Scripted::new([running("a"), running("b"), running("c"), running("d")]);
    let watches = watches(&source);
    let mut watcher = open(&watches).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    sleep(7 * SECOND).await;
    assert_eq!(next(&mut watcher).await, "+d 6");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_all_watches_and_their_polls() {
    let source = Scripted::new([running("a")]);
    let watches = watches(&source);
    let mut watcher = open(&watches).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    watches.drain();
    assert_eq!(next(&mut watcher).await, "Draining");
    // A watcher who does not listen does not keep its poller.
    sleep(60 * SECOND).await;
    assert_eq!(source.asked(), [0]);
    assert!(matches!(open(&watches).await, Err(Refusal::Draining)));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_watches_that_wait_for_their_first_state() {
    let late = Reply::After(10 * SECOND, Box::new(running("a")));
    let watches = watches(&Scripted::new([late]));
    let opening = open(&watches);
    let draining = async {
        sleep(SECOND).await;
        watches.drain();
    };
    let (opened, ()) = tokio::join!(opening, draining);
    assert!(matches!(opened, Err(Refusal::Draining)));
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_free_when_its_watcher_has_gone() {
    let watches =
        with(&Scripted::new([running("a")]), Config { max_watches: 2, ..Config::default() });
    let (one, _two) = (open(&watches).await.unwrap(), open(&watches).await.unwrap());
    assert!(matches!(open(&watches).await, Err(Refusal::Overloaded)));
    drop(one);
    let _three = open(&watches).await.unwrap();
    assert!(matches!(open(&watches).await, Err(Refusal::Overloaded)));
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_panics_takes_nobody_along_in_silence() {
    let source = Scripted::new([running("a"), Reply::Panic, running("b")]);
    let watches = watches(&source);
    let mut watcher = open(&watches).await.unwrap();
    assert_eq!(next(&mut watcher).await, "+a 0");
    assert_eq!(next(&mut watcher).await, "Lost");
    assert_eq!(next(&mut open(&watches).await.unwrap()).await, "+b 2");
}

#[test]
fn the_error_of_a_pause_keeps_its_kind() {
    let error = Arc::new(error(ErrorKind::Throttled));
    // Without a wait in it there is none to shorten.
    assert_eq!(FetchError::as_of_now(&error, SECOND).retry_after, None);
}
