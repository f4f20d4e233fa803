use std::time::Duration;

use futures_util::poll;

use super::{super::registry::Registry, *};
use crate::{
    job::JobPath,
    upstream::{Credential, Token},
};

/// Never answers.
#[derive(Clone)]
struct Silent;

impl Source for Silent {
    async fn fetch(&self, _: &JobPath, _: &Credential, _: &Arc<Trace>) -> Fetched {
        std::future::pending().await
    }

    fn paused(&self, _: &Credential) -> Option<Arc<FetchError>> {
        None
    }
}

/// How long a poller waits, in seconds, and for what. `next` is when its wait ends, for what, and
/// until when the last poll is news.
async fn wait(next: (u64, Step, u64), is_nudged: bool) -> (u64, Step) {
    let registry = Registry::new(1);
    let path = JobPath::parse("p", "j").unwrap();
    let credential = Credential::from(Token::parse(b"t").unwrap());
    let mut place = None;
    let seat = registry.take_seat((path, credential), None, |it| place = Some(it)).ok().unwrap();
    let poller = Poller {
        place: &place.unwrap(),
        source: Silent,
        view: |_| Some(()),
        schedule: Schedule::new(&Config::default()),
        job: None,
        trouble: None,
        polls: Polls::default(),
        tracer: Tracer::default(),
    };
    let begun = Instant::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    let next = Next { at: after(next.0), step: next.1, fresh_until: after(next.2) };
    // Who asked before the wait has got what he wanted.
    let _ = seat.settle().now_or_never();
    let mut waiting = std::pin::pin!(poller.wait(&next));
    assert!(poll!(&mut waiting).is_pending());
    if is_nudged {
        let _ = seat.settle().now_or_never();
    }
    let step = waiting.await;
    (begun.elapsed().as_secs(), step)
}

#[tokio::test(start_paused = true)]
async fn a_nudge_brings_a_poll_as_soon_as_the_last_one_is_no_news() {
    use Step::{GiveUp, Poll};

    for (next, nudged, otherwise) in [
        ((10, Poll, 4), (4, Poll), (10, Poll)),
        ((10, GiveUp, 4), (4, Poll), (10, GiveUp)),
        ((10, GiveUp, 10), (10, GiveUp), (10, GiveUp)),
        ((10, GiveUp, 20), (10, GiveUp), (10, GiveUp)),
    ] {
        assert_eq!(wait(next, true).await, nudged, "{next:?}");
        assert_eq!(wait(next, false).await, otherwise, "{next:?}");
    }
}
