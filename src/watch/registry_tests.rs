use std::time::Duration;

use super::*;
use crate::{
    job::{Job, JobPath},
    upstream::{Credential, Token, Trace},
    watch::{Config, Event, Source, Watches},
};

fn key() -> Key {
    (JobPath::parse("p", "j").unwrap(), Credential::from(Token::parse(b"t").unwrap()))
}

#[test]
fn a_poller_that_was_joined_in_time_does_not_leave() {
    let registry = Registry::<()>::new(9);
    let mut place = None;
    let first = registry.take_seat(key(), None, |it| place = Some(it));
    let place = place.unwrap();
    // The poller has heard that nobody is left, but before it gets the lock, somebody comes.
    drop(first);
    let second = registry.take_seat(key(), None, |_| panic!("there is a poller"));
    assert!(!place.leave_if_deserted());
    drop(second);
    assert!(place.leave_if_deserted());
    let mut started = false;
    let _third = registry.take_seat(key(), None, |_| started = true);
    assert!(started, "a poller that has left can't be joined");
}

#[test]
fn an_old_poller_does_not_take_the_new_ones_place() {
    let registry = Registry::<()>::new(9);
    let mut places = Vec::new();
    drop(registry.take_seat(key(), None, |it| places.push(it)));
    assert!(places[0].leave_if_deserted());
    let _seat = registry.take_seat(key(), None, |it| places.push(it));
    drop(places.remove(0));
    let _joins = registry.take_seat(key(), None, |_| panic!("there is a poller"));
}

/// A job that is another one each time.
#[derive(Clone)]
struct Restless(Arc<std::sync::atomic::AtomicU64>);

impl Source for Restless {
    async fn fetch(&self, _: &JobPath, _: &Credential, _: &Arc<Trace>) -> Fetched {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tokio::task::yield_now().await;
        Fetched {
            result: Ok(Arc::new(Job { job_type: count.to_string(), ..Job::default() })),
            attempts: 1,
            http_status: None,
            request_id: None,
            took: Duration::ZERO,
            shared: false,
            at: jiff::Timestamp::now(),
        }
    }

    fn paused(&self, _: &Credential) -> Option<Arc<FetchError>> {
        None
    }
}

/// Comings and goings on several threads: who has a seat has a poller that is alive.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_joins_a_dying_poller() {
    let poll_min = Duration::from_micros(50);
    let config = Config { poll_min, poll_max: poll_min, ..Config::default() };
    let watches = Watches::new(config, Restless(Arc::default()), |job| Some(job.job_type.clone()));
    let visitors: Vec<_> = (0..2)
        .map(|_| {
            let watches = watches.clone();
            tokio::spawn(async move {
                let (path, token) = key();
                for _ in 0..1000 {
                    let opened = watches.open(&path, &token, &Arc::default(), None).await;
                    let mut watcher = opened.0.unwrap_or_else(|refusal| panic!("{refusal:?}"));
                    for _ in 0..2 {
                        let event = watcher.next().await;
                        assert!(matches!(event, Ok(Event::Changed { .. })), "{event:?}");
                    }
                    drop(watcher);
                    for _ in 0..fastrand::u8(..4) {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
}
