//! Whether a connection has calls, and since when it has none.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The calls of one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

/// A call. Dropped, it is over.
pub(super) struct Open(Activity);

struct State {
    open: usize,
    /// When the last call ended.
    since: Instant,
}

// === impl Activity ===

impl Activity {
    /// No calls, from now on.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { open: 0, since: Instant::now() })))
    }

    pub(super) fn begin(&self) -> Open {
        self.state().open += 1;
        Open(self.clone())
    }

    /// Ready once there were no calls for so long.
    ///
    /// Calls do not wake it: it looks again when that time could have passed at the earliest.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let now = Instant::now();
            let at = {
                let state = self.state();
                (if state.open > 0 { now } else { state.since }) + time
            };
            if at <= now {
                return;
            }
            sleep_until(at).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_calls_is_idle_when_its_time_is_over() {
        let begun = Instant::now();
        Activity::new().idle_for(IDLE).await;
        assert_eq!(begun.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_counts_from_the_end_of_the_last_call() {
        let activity = Activity::new();
        let (long, short) = (activity.begin(), activity.begin());
        drop(short);
        assert!(timeout(10 * IDLE, activity.idle_for(IDLE)).await.is_err(), "a call is open");
        advance(IDLE / 3).await;
        drop(long);
        let ended = Instant::now();
        activity.idle_for(IDLE).await;
        assert_eq!(ended.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_comes_and_goes_in_between_counts() {
        let activity = Activity::new();
        let waiting = tokio::spawn({
            let activity = activity.clone();
            async move {
                activity.idle_for(IDLE).await;
                Instant::now()
            }
        });
        tokio::task::yield_now().await;
        advance(IDLE / 2).await;
        drop(activity.begin());
        let ended = Instant::now();
        assert_eq!(waiting.await.unwrap() - ended, IDLE);
    }
}
