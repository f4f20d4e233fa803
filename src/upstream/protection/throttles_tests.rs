use tokio::time::advance;

use super::*;
use crate::upstream::Token;

const SECOND: Duration = Duration::from_secs(1);

fn credential(token: &str) -> Credential {
    Credential::from(Token::parse(token.as_bytes()).unwrap())
}

fn error(kind: ErrorKind, retry_after: Option<Duration>) -> Arc<FetchError> {
    let answer = Answer {
        http_status: 429,
        code: Some("c".to_owned()),
        message: Some("of one request".to_owned()),
        request_id: Some("of one request".to_owned()),
    };
    Arc::new(FetchError { kind, answer: Some(answer), retry_after, detail: String::new() })
}

/// The upstream refuses a request of just now.
fn refuse(throttles: &Throttles, token: &str, lane: Lane, retry_after: Option<Duration>) {
    let error = error(ErrorKind::Throttled, retry_after);
    throttles.answered(&credential(token), lane, Instant::now(), Some(&error));
}

fn goes(throttles: &Throttles, token: &str, lane: Lane) -> bool {
    throttles.turn(&credential(token), lane, Duration::ZERO).is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_limits_its_credential_and_its_lane() {
    let throttles = Throttles::new();
    refuse(&throttles, "a", Lane::Call, None);
    let (wait, error) = throttles.turn(&credential("a"), Lane::Call, Duration::ZERO).unwrap_err();
    assert_eq!((wait, error.kind, error.retry_after), (SECOND, ErrorKind::Throttled, Some(wait)));
    let code = Some("c".to_owned());
    let answer = Answer { http_status: 429, code, ..Answer::default() };
    assert_eq!(error.answer, Some(answer));
    assert!(throttles.paused(&credential("a")).is_none());
    assert!(goes(&throttles, "a", Lane::Poll) && goes(&throttles, "b", Lane::Call));

    refuse(&throttles, "a", Lane::Poll, None);
    let told = [(); 2].map(|()| throttles.paused(&credential("a")).unwrap().retry_after);
    assert_eq!(told, [Some(SECOND), Some(2 * SECOND)]);
    assert!(throttles.paused(&credential("b")).is_none());
    advance(SECOND).await;
    // To ask does not use up the turn.
    assert!((0..2).all(|_| throttles.paused(&credential("a")).is_none()));
    assert!(goes(&throttles, "a", Lane::Poll) && !goes(&throttles, "a", Lane::Poll));
}

#[tokio::test(start_paused = true)]
async fn the_rate_that_was_too_high_is_what_was_sent_in_that_lane() {
    let throttles = Throttles::new();
    (0..100).for_each(|_| throttles.sends(Lane::Poll, Instant::now()));
    for (lane, expected) in [(Lane::Poll, Duration::from_millis(20)), (Lane::Call, SECOND)] {
        refuse(&throttles, "a", lane, None);
        let (wait, _) = throttles.turn(&credential("a"), lane, Duration::ZERO).unwrap_err();
        assert_eq!(wait, expected, "{lane:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_the_pollers_and_the_longest_counts() {
    let throttles = Throttles::new();
    let down = |wait| error(ErrorKind::Unavailable, Some(wait));
    for wait in [5 * SECOND, 30 * SECOND, SECOND] {
        let now = Instant::now();
        throttles.answered(&credential("a"), Lane::Call, now, Some(&down(wait)));
    }
    advance(10 * SECOND).await;
    let paused = throttles.paused(&credential("a")).unwrap();
    assert_eq!((paused.kind, paused.retry_after), (ErrorKind::Unavailable, Some(20 * SECOND)));
    // It was not asked too often, so calls are not limited.
    assert!((0..100).all(|_| goes(&throttles, "a", Lane::Call)));
    assert!(throttles.paused(&credential("b")).is_none());
    advance(20 * SECOND).await;
    assert!(throttles.paused(&credential("a")).is_none());
    assert!(throttles.lock().throttles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_does_not_pass_pauses_nobody() {
    let throttles = Throttles::new();
    let lasting = error(ErrorKind::CredentialsRejected, Some(SECOND));
    throttles.answered(&credential("a"), Lane::Call, Instant::now(), Some(&lasting));
    assert!(throttles.paused(&credential("a")).is_none());
    assert!(throttles.lock().throttles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_forgotten() {
    let throttles = Throttles::new();
    refuse(&throttles, "a", Lane::Call, None);
    refuse(&throttles, "b", Lane::Call, None);
    advance(Duration::from_mins(10)).await;
    assert!((0..100).all(|_| goes(&throttles, "a", Lane::Call)));
    assert_eq!(throttles.lock().throttles.len(), 1);
    // The other one is refused again, at a rate that is measured anew.
    (0..100).for_each(|_| throttles.sends(Lane::Call, Instant::now()));
    refuse(&throttles, "b", Lane::Call, None);
    let (wait, _) = throttles.turn(&credential("b"), Lane::Call, Duration::ZERO).unwrap_err();
    assert_eq!(wait, Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_credentials_are_remembered() {
    let throttles = Throttles::new();
    for number in 0..MAX_KEPT {
        refuse(&throttles, &number.to_string(), Lane::Call, None);
    }
    refuse(&throttles, "late", Lane::Call, None);
    assert!(goes(&throttles, "late", Lane::Call) && !goes(&throttles, "0", Lane::Call));
    advance(Duration::from_mins(10)).await;
    refuse(&throttles, "late", Lane::Call, None);
    assert!(!goes(&throttles, "late", Lane::Call));
    assert_eq!(throttles.lock().throttles.len(), 1);
}
