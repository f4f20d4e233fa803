use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::AtomicUsize},
};

use futures_util::{FutureExt as _, future::join_all};
use tokio::time::{advance, sleep};

use super::*;
use crate::upstream::{credentials::key::SigningKey, secret::Secret, token::Token};

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
        Keeper::start(self.clone())
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

    async fn issue(&mut self) -> Result<Issued, FetchError> {
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
            Reply::Fails(kind) => Err(FetchError::no_answer(kind, String::new())),
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
    keeper.lease().await.map(|(lease, _)| lease.number).map_err(|error| error.kind)
}

async fn lease(keeper: &Keeper) -> Lease {
    keeper.lease().await.ok().unwrap().0
}

fn refusal() -> Arc<FetchError> {
    let detail = "wrong signature".to_owned();
    Arc::new(FetchError::no_answer(ErrorKind::GatewayCredentialsRejected, detail))
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
        let (lease, _) = keeper.lease().now_or_never().unwrap().ok().unwrap();
        assert!(lease.ends.unwrap() > Instant::now());
    }
    // 1,000 seconds, each token for 81 to 91 of them.
    assert!((11..=13).contains(&issuer.asked()), "{}", issuer.asked());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_good_and_is_refused_is_renewed_once() {
    let issuer = Scripted::<true>::taking(SECOND, [Reply::Token(10_000)]);
    let keeper = issuer.keeper();
    for expected in 1..5 {
        let lease = lease(&keeper).await;
        assert_eq!(lease.number, expected);
        keeper.accepted(&lease);
        // All who had it are refused; most are late.
        keeper.refused(&lease, &refusal());
        keeper.refused(&lease, &refusal());
        let numbers = join_all((0..10).map(|_| number(&keeper))).await;
        assert!(numbers.iter().all(|number| *number == Ok(expected + 1)), "{numbers:?}");
        keeper.refused(&lease, &refusal());
        assert_eq!(number(&keeper).await, Ok(expected + 1));
    }
    assert_eq!(issuer.asked(), 5);
    assert_eq!(keeper.readiness(), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_never_was_good_is_not_renewed_at_once() {
    let issuer = Scripted::<true>::new([Reply::Token(10_000)]);
    let keeper = issuer.keeper();
    keeper.refused(&lease(&keeper).await, &refusal());
    assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsRejected));
    assert_eq!(keeper.readiness(), Readiness::Rejected);
    sleep(29 * SECOND).await;
    assert_eq!((number(&keeper).await.is_ok(), issuer.asked()), (false, 1));
    sleep(32 * SECOND).await;
    assert_eq!((number(&keeper).await, issuer.asked()), (Ok(2), 2));
    // The wait is twice as long now.
    keeper.refused(&lease(&keeper).await, &refusal());
    sleep(59 * SECOND).await;
    assert_eq!((number(&keeper).await.is_ok(), issuer.asked()), (false, 2));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_not_hammered() {
    let issuer = Scripted::<true>::new([REJECTED]);
    let keeper = issuer.keeper();
    for _ in 0..3600 {
        assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsRejected));
        sleep(SECOND).await;
    }
    assert!((3..=11).contains(&issuer.asked()), "{}", issuer.asked());
    // The right one counts at once.
    issuer.changes([Reply::Token(100)]);
    while issuer.asked() < 12 && number(&keeper).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!((number(&keeper).await, keeper.readiness()), (Ok(1), Readiness::Ready));
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
    keeper.accepted(&lease(&keeper).await);
    issuer.changes([REJECTED]);
    sleep(SECOND).await;
    assert_eq!((issuer.asked(), number(&keeper).await), (2, Ok(1)));
    assert_eq!(keeper.readiness(), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_tried_by_one_until_it_is_good() {
    let issuer = Scripted::<false>::new([Reply::Key("AK")]);
    let keeper = issuer.keeper();
    let (first, trial) = keeper.lease().await.ok().unwrap();
    assert!(trial.is_some());
    let mut others: Vec<_> = (0..50).map(|_| Box::pin(number(&keeper))).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none());
    }
    keeper.accepted(&first);
    drop(trial);
    assert!(join_all(others).await.iter().all(|number| *number == Ok(1)));
    let (_, trial) = keeper.lease().await.ok().unwrap();
    assert!(trial.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_is_used_by_nobody_until_it_changes() {
    let issuer = Scripted::<false>::new([Reply::Key("AK")]);
    let keeper = issuer.keeper();
    let (first, trial) = keeper.lease().await.ok().unwrap();
    let mut others: Vec<_> = (0..50).map(|_| Box::pin(number(&keeper))).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none());
    }
    keeper.refused(&first, &refusal());
    drop(trial);
    let rejected = Err(ErrorKind::GatewayCredentialsRejected);
    assert!(join_all(others).await.iter().all(|number| *number == rejected));
    // A key that was good is no better than its signature.
    issuer.changes([Reply::Key("AK2")]);
    sleep(SECOND).await;
    let second = lease(&keeper).await;
    assert_eq!(second.number, 2);
    keeper.accepted(&second);
    keeper.refused(&second, &refusal());
    assert_eq!(number(&keeper).await, rejected);
    sleep(28 * SECOND).await;
    assert_eq!((number(&keeper).await, issuer.asked()), (rejected, 2));
    sleep(33 * SECOND).await;
    assert_eq!(number(&keeper).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn the_key_that_was_refused_is_no_renewal() {
    let issuer = Scripted::<true>::new([Reply::Key("A"), Reply::Key("A"), Reply::Key("B")]);
    let keeper = issuer.keeper();
    let first = lease(&keeper).await;
    keeper.accepted(&first);
    keeper.refused(&first, &refusal());
    assert_eq!(number(&keeper).await, Err(ErrorKind::GatewayCredentialsRejected));
    assert_eq!(issuer.asked(), 2);
    sleep(61 * SECOND).await;
    assert!(lease(&keeper).await.pass == key("B"));
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
