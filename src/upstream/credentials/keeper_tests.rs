use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, future::join_all};
use tokio::time::{advance, sleep};

use super::*;
use crate::{
    telemetry::TraceContext,
    upstream::{credentials::key::SigningKey, secret::Secret, token::Token},
};

const SECOND: Duration = Duration::from_secs(1);

/// Gives what it is told to, the last of it for ever.
#[derive(Clone)]
struct Scripted<const RENEWS: bool>(Arc<Script>);

struct Script {
    replies: Mutex<VecDeque<Reply>>,
    asked: AtomicUsize,
    changed: Notify,
    /// How long an answer takes.
    takes: Duration,
}

#[derive(Clone)]
enum Reply {
    /// A token that lives for so many seconds.
    Token(u64),
    Key(&'static str),
    Fails(ErrorKind),
}

const REJECTED: Reply = Reply::Fails(ErrorKind::GatewayCredentialsRejected);
const UNAVAILABLE: Reply = Reply::Fails(ErrorKind::GatewayCredentialsUnavailable);

impl<const RENEWS: bool> Scripted<RENEWS> {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::taking(Duration::ZERO, replies)
    }

    fn taking(takes: Duration, replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies = Mutex::new(replies.into_iter().collect());
        Self(Arc::new(Script {
            replies,
            asked: AtomicUsize::new(0),
            changed: Notify::new(),
            takes,
        }))
    }

    fn keeper(&self) -> Keeper {
        Keeper::start(self.clone(), &Reloads::new(Duration::from_hours(1)), Tracer::default())
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Another secret is there, and these are the replies to it.
    fn changes(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.0.replies.lock().unwrap() = replies.into_iter().collect();
        self.0.changed.notify_one();
    }
}

impl<const R: bool> Issuer for Scripted<R> {
    const RENEWS: bool = R;

    async fn issue(&mut self, _span: Option<&TraceContext>) -> Result<Issued, NotIssued> {
        sleep(self.0.takes).await;
        let number = self.0.asked.fetch_add(1, Ordering::Relaxed);
        let mut replies = self.0.replies.lock().unwrap();
        let reply = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
        match reply.unwrap() {
            Reply::Token(lifetime) => Ok(Issued {
                pass: Pass::Token(Token::parse(format!("token {number}").as_bytes()).unwrap()),
                lifetime: Some(Duration::from_secs(lifetime)),
            }),
            Reply::Key(name) => Ok(Issued { pass: key(name), lifetime: None }),
            Reply::Fails(kind) => Err(FetchError::no_answer(kind, String::new()).into()),
        }
    }

    async fn changed(&mut self) {
        self.0.changed.notified().await;
    }
}

fn key(name: &str) -> Pass {
    let secret = |text: &str| Secret::line(text.as_bytes()).unwrap();
    Pass::Key(SigningKey::new(secret(name), secret("secret"), None))
}

/// The number of the lease that one gets, or what is wrong.
async fn number(keeper: &Keeper) -> Result<u64, ErrorKind> {
    keeper.grant("p", None).await.map(|grant| grant.number()).map_err(|error| error.kind)
}

async fn grant(keeper: &Keeper) -> Grant {
    keeper.grant("p", None).await.ok().unwrap()
}

fn refusal() -> FetchError {
    let detail = "wrong signature".to_owned();
    FetchError::no_answer(ErrorKind::GatewayCredentialsRejected, detail)
}

#[tokio::test(start_paused = true)]
async fn however_many_wait_one_asks() {
    let issuer = Scripted::<true>::taking(SECOND, [Reply::Token(100)]);
    let keeper = issuer.keeper();
    let numbers = join_all((0..100).map(|_| number(&keeper))).await;
    assert!(numbers.iter().all(|number| *number == Ok(1)));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_its_end_and_nobody_waits_for_it() {
    let issuer = Scripted::<true>::taking(SECOND, [Reply::Token(100)]);
    let keeper = issuer.keeper();
    assert_eq!(number(&keeper).await, Ok(1));
    for _ in 0..10_000 {
        advance(SECOND / 10).await;
        // At once, and never one whose time is over.
        let grant = keeper.grant("p", None).now_or_never().unwrap().ok().unwrap();
        assert!(grant.lease.ends().unwrap() > Instant::now());
        keeper.taken(&grant, "p");
    }
    // 1,000 seconds, each token for 81 to 91 of them.
    assert!((11..=13).contains(&issuer.asked()), "{}", issuer.asked());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_renewed_once_for_all() {
    let issuer = Scripted::<true>::taking(SECOND, [Reply::Token(10_000)]);
    let keeper = issuer.keeper();
    for expected in 1..4 {
        let grants = join_all((0..20).map(|_| grant(&keeper))).await;
        let refused = grants.iter().map(async |grant| {
            let refused = keeper.refused(grant, "p", &refusal(), None).await;
            assert!(refused.is_some());
            let next = keeper.grant("p", refused).await.ok().unwrap();
            keeper.taken(&next, "p");
            next.number()
        });
        let numbers = join_all(refused).await;
        assert!(numbers.iter().all(|number| *number == expected + 1), "{numbers:?}");
        assert_eq!(u64::try_from(issuer.asked()).unwrap(), expected + 1);
    }
    assert_eq!(keeper.readiness(), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_not_hammered() {
    let issuer = Scripted::<true>::new([REJECTED]);
    let keeper = issuer.keeper();
    let mut asked = Vec::new();
    for second in 0..4 * 3600 {
        assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsRejected));
        asked.resize(issuer.asked(), second);
        sleep(SECOND).await;
    }
    assert!(asked.len() >= 6, "{asked:?}");
    assert!(asked.windows(3).all(|it| it[2] - it[0] >= 15 * 60), "{asked:?}");
    // The right one counts at once.
    issuer.changes([Reply::Token(100)]);
    assert_eq!(keeper.readiness_after(Readiness::Rejected).await, Readiness::Ready);
    assert_eq!(number(&keeper).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_not_hammered_by_refusals_either() {
    let issuer = Scripted::<true>::new([Reply::Token(100_000), REJECTED]);
    let keeper = issuer.keeper();
    keeper.taken(&grant(&keeper).await, "good");
    let mut asked = Vec::new();
    for second in 0..4 * 3600 {
        let project = format!("bad{second}");
        let grant = keeper.grant(&project, None).await.ok().unwrap();
        let refused = keeper.refused(&grant, &project, &refusal(), None).await;
        if let Ok(grant) = keeper.grant(&project, refused).await {
            assert_eq!(keeper.refused(&grant, &project, &refusal(), refused).await, None);
        }
        asked.resize(issuer.asked(), second);
        sleep(SECOND).await;
    }
    // The first was good.
    assert!(asked.len() >= 6, "{asked:?}");
    assert!(asked[1..].windows(3).all(|it| it[2] - it[0] >= 15 * 60), "{asked:?}");
    assert_eq!(keeper.readiness(), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn who_mends_something_elsewhere_can_say_so() {
    let issuer = Scripted::<true>::new([REJECTED, Reply::Token(100)]);
    let reloads = Reloads::new(Duration::from_hours(1));
    let keeper = Keeper::start(issuer.clone(), &reloads, Tracer::default());
    assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsRejected));
    sleep(SECOND).await;
    reloads.now();
    assert_eq!(keeper.readiness_after(Readiness::Rejected).await, Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_good_token_outlives_iam_to_its_end() {
    let issuer = Scripted::<true>::new([Reply::Token(100), UNAVAILABLE]);
    let keeper = issuer.keeper();
    assert_eq!(number(&keeper).await, Ok(1));
    sleep(99 * SECOND).await;
    assert!(issuer.asked() > 2);
    assert_eq!(number(&keeper).await, Ok(1));
    sleep(2 * SECOND).await;
    assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsUnavailable));
    assert_eq!(keeper.readiness(), Readiness::Unavailable);
    *issuer.0.replies.lock().unwrap() = [Reply::Token(100)].into();
    assert_eq!(keeper.readiness_after(Readiness::Unavailable).await, Readiness::Ready);
    assert_eq!(number(&keeper).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_takes_nothing_away() {
    let issuer = Scripted::<true>::new([Reply::Token(1000), REJECTED]);
    let keeper = issuer.keeper();
    keeper.taken(&grant(&keeper).await, "p");
    issuer.changes([REJECTED]);
    sleep(SECOND).await;
    assert_eq!((issuer.asked(), number(&keeper).await), (2, Ok(1)));
    assert_eq!(keeper.readiness(), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_tried_by_one_until_it_is_good() {
    let issuer = Scripted::<false>::new([Reply::Key("AK")]);
    let keeper = issuer.keeper();
    let first = grant(&keeper).await;
    assert!(first.is_trial());
    let mut others: Vec<_> = (0..50).map(|_| Box::pin(number(&keeper))).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none());
    }
    keeper.taken(&first, "p");
    drop(first);
    assert!(join_all(others).await.iter().all(|number| *number == Ok(1)));
    assert!(!grant(&keeper).await.is_trial());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_trial_that_shows_nothing_shares_its_fate() {
    let issuer = Scripted::<false>::new([Reply::Key("AK")]);
    let keeper = issuer.keeper();
    let first = grant(&keeper).await;
    let mut others: Vec<_> = (0..50).map(|_| Box::pin(number(&keeper))).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none());
    }
    let why = Arc::new(FetchError::no_answer(ErrorKind::Timeout, String::new()));
    first.undecided(&why);
    drop(first);
    assert!(join_all(others).await.iter().all(|number| *number == Err(ErrorKind::Timeout)));
    // The next one is a trial again, and nobody waits for ever.
    let _hangs = grant(&keeper).await;
    let late = number(&keeper).await;
    assert_eq!(late, Err(ErrorKind::GatewayCredentialsUnavailable));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_is_used_by_nobody_until_it_changes() {
    let issuer = Scripted::<false>::new([Reply::Key("AK")]);
    let keeper = issuer.keeper();
    let first = grant(&keeper).await;
    let mut others: Vec<_> = (0..50).map(|_| Box::pin(number(&keeper))).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none());
    }
    assert_eq!(keeper.refused(&first, "p", &refusal(), None).await, None);
    drop(first);
    let rejected = Err(ErrorKind::GatewayCredentialsRejected);
    assert!(join_all(others).await.iter().all(|number| *number == rejected));
    assert_eq!(keeper.readiness(), Readiness::Rejected);
    sleep(Duration::from_mins(19)).await;
    assert_eq!(number(&keeper).await, rejected);
    issuer.changes([Reply::Key("AK2")]);
    assert_eq!(keeper.readiness_after(Readiness::Rejected).await, Readiness::Ready);
    assert_eq!(number(&keeper).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn the_key_that_was_refused_is_no_renewal() {
    let issuer = Scripted::<true>::new([Reply::Key("A"), Reply::Key("A"), Reply::Key("B")]);
    let keeper = issuer.keeper();
    let first = grant(&keeper).await;
    keeper.taken(&first, "p");
    let refused = keeper.refused(&first, "p", &refusal(), None).await;
    assert!(refused.is_some());
    let same = keeper.grant("p", refused).await.map(|grant| grant.number());
    assert_eq!(same.map_err(|error| error.kind), Err(ErrorKind::GatewayCredentialsRejected));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pass_without_a_known_end_is_renewed_all_the_same() {
    let issuer = Scripted::<true>::new([Reply::Key("A"), Reply::Key("B")]);
    let keeper = issuer.keeper();
    keeper.taken(&grant(&keeper).await, "p");
    sleep(Duration::from_mins(61)).await;
    assert_eq!((issuer.asked(), number(&keeper).await), (2, Ok(2)));
}

#[tokio::test(start_paused = true)]
async fn the_first_pass_is_waited_for_and_its_failure_is_told() {
    let issuer = Scripted::<true>::taking(SECOND, [UNAVAILABLE, Reply::Token(100)]);
    let keeper = issuer.keeper();
    assert_eq!(keeper.readiness(), Readiness::Pending);
    assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsUnavailable));
    assert_eq!(keeper.readiness_after(Readiness::Unavailable).await, Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn the_last_copy_ends_it() {
    let issuer = Scripted::<true>::new([Reply::Token(10)]);
    let keeper = issuer.keeper();
    assert_eq!(number(&keeper).await, Ok(1));
    let copy = keeper.clone();
    drop(keeper);
    assert_eq!(number(&copy).await, Ok(1));
    drop(copy);
    sleep(100 * SECOND).await;
    assert_eq!((issuer.asked(), Arc::strong_count(&issuer.0)), (1, 1));
}
