use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::{Notify, oneshot};

use super::*;

fn far() -> Wish {
    Wish { deadline: Instant::now() + Duration::from_mins(1), repeats: true }
}

fn len(flights: &Flights<u8, u32>) -> usize {
    lock(&flights.0).flights.len()
}

#[tokio::test]
async fn those_who_ask_at_the_same_time_share_one_flight() {
    let flights = Flights::<u8, u32>::new();
    let started = Arc::new(AtomicU32::new(0));
    let release = Arc::new(Notify::new());
    let ask = |key| {
        let (started, release) = (Arc::clone(&started), Arc::clone(&release));
        flights.join(key, far(), |_| async move {
            let number = started.fetch_add(1, Ordering::SeqCst);
            release.notified().await;
            number
        })
    };
    let (waiters, joined): (Vec<_>, Vec<_>) = (0..100).map(|_| ask(1)).unzip();
    let waiters = join_all(waiters);
    let open = async {
        tokio::task::yield_now().await;
        release.notify_one();
    };
    let (answers, ()) = futures_util::future::join(waiters, open).await;
    assert_eq!(started.load(Ordering::SeqCst), 1);
    assert_eq!(answers, [0; 100]);
    assert_eq!(joined.iter().filter(|joined| !**joined).count(), 1);
    assert_eq!(len(&flights), 0);
}

#[tokio::test]
async fn an_answer_goes_to_nobody_who_asks_after() {
    let flights = Flights::<u8, u32>::new();
    let first = flights.join(1, far(), |_| async { 1 }).0;
    assert_eq!(first.clone().await, 1);
    // `first` is still held, so the flight's memory is, too.
    let (second, joined) = flights.join(1, far(), |_| async { 2 });
    assert_eq!((second.await, joined), (2, false));
    drop(first);
}

#[tokio::test]
async fn the_last_waiter_to_go_ends_the_flight() {
    let flights = Flights::<u8, u32>::new();
    let (held, mut gone) = oneshot::channel::<()>();
    let work = |_| async move {
        let _held = held;
        std::future::pending().await
    };
    let (mut first, _) = flights.join(1, far(), work);
    let (second, joined) = flights.join(1, far(), |_| async { 2 });
    assert!(joined);
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    assert!(gone.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
    drop(second);
    assert!(gone.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    assert_eq!(len(&flights), 0);
}

#[tokio::test]
async fn a_late_landing_leaves_the_next_flight_alone() {
    let flights = Flights::<u8, u32>::new();
    let (_flight, _) = flights.join(1, far(), |_| std::future::pending());
    // A flight that was dropped lands after the next one has taken its place.
    drop(Landing { table: Arc::clone(&flights.0), key: 1, number: u64::MAX });
    assert_eq!(len(&flights), 1);
}

#[tokio::test]
async fn the_most_generous_wishes_count() {
    let flights = Flights::<u8, u32>::new();
    let now = Instant::now();
    let mut seen = None;
    let wish = |seconds, repeats| Wish { deadline: now + Duration::from_secs(seconds), repeats };
    let (_first, _) = flights.join(1, wish(1, false), |terms| {
        seen = Some(terms);
        std::future::pending()
    });
    let terms = seen.unwrap();
    assert_eq!(terms.now(), wish(1, false));
    let (_second, _) = flights.join(1, wish(5, false), |_| async { 2 });
    let (_third, _) = flights.join(1, wish(3, true), |_| async { 3 });
    let (_fourth, _) = flights.join(1, wish(2, false), |_| async { 4 });
    assert_eq!(terms.now(), wish(5, true));
}
