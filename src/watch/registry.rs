//! Who polls what, and who watches.
//!
//! One lock stands over the coming and going of watchers and pollers, so that nobody can join a
//! poller that is about to end.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    End, Key, Reader, Refusal, Slot,
    audience::{Attendance, Audience},
};
use crate::{
    telemetry::TraceContext,
    upstream::{FetchError, Fetched},
};

/// All pollers and the number of watchers.
pub(super) struct Registry<V>(Arc<Inner<V>>);

struct Inner<V> {
    table: Mutex<Table<V>>,
    max_watches: usize,
}

struct Table<V> {
    pollers: HashMap<Key, Arc<Board<V>>>,
    watches: usize,
    draining: bool,
}

/// What a poller shares with its watchers.
struct Board<V> {
    slot: watch::Sender<Slot<V>>,
    /// There was a poll, whatever it brought. Watchers sleep on; newcomers wait for it.
    polled: Notify,
    /// A newcomer finds the last poll too old.
    nudge: Notify,
    /// The poller is not needed any more, whoever still has a seat.
    dismissal: Notify,
    audience: Audience,
}

/// A poller's place in the registry. Dropped, it is free for another poller.
pub(super) struct Place<V> {
    registry: Registry<V>,
    key: Key,
    board: Arc<Board<V>>,
}

/// A watcher's seat. Dropped, it is free for another watcher.
pub(super) struct Seat<V> {
    registry: Registry<V>,
    board: Arc<Board<V>>,
    reader: Reader<V>,
    /// Whether there was a poller already.
    joined: bool,
    /// How many polls there had been.
    polls: u64,
    _attendance: Attendance,
}

// === impl Registry ===

impl<V> Registry<V> {
    pub(super) fn new(max_watches: usize) -> Self {
        let table = Table { pollers: HashMap::new(), watches: 0, draining: false };
        Self(Arc::new(Inner { table: Mutex::new(table), max_watches }))
    }

    /// A seat with the poller of `key`, which `start` brings to life if there is none. `span` is
    /// the watch's.
    pub(super) fn take_seat(
        &self,
        key: Key,
        span: Option<&TraceContext>,
        start: impl FnOnce(Place<V>),
    ) -> Result<Seat<V>, Refusal> {
        let mut table = self.table();
        if table.draining {
            return Err(Refusal::Draining);
        }
        if table.watches >= self.0.max_watches {
            return Err(Refusal::Overloaded);
        }
        table.watches += 1;
        let (board, place) = match table.pollers.entry(key) {
            Entry::Occupied(entry) => (Arc::clone(entry.get()), None),
            Entry::Vacant(entry) => {
                let board = Arc::new(Board {
                    slot: watch::Sender::new(Slot::new()),
                    polled: Notify::new(),
                    nudge: Notify::new(),
                    dismissal: Notify::new(),
                    audience: Audience::default(),
                });
                let (registry, key) = (self.clone(), entry.key().clone());
                entry.insert(Arc::clone(&board));
                (Arc::clone(&board), Some(Place { registry, key, board }))
            }
        };
        let reader = board.slot.subscribe();
        let polls = reader.borrow().polls;
        let joined = place.is_none();
        drop(table);
        // Not under the lock, nor before the first reader is there.
        if let Some(place) = place {
            start(place);
        }
        let attendance = board.audience.join(span);
        let registry = self.clone();
        Ok(Seat { registry, board, reader, joined, polls, _attendance: attendance })
    }

    /// How many watchers and pollers there are.
    pub(super) fn count(&self) -> (usize, usize) {
        let table = self.table();
        (table.watches, table.pollers.len())
    }

    /// Ends all watches and gives no more seats.
    pub(super) fn drain(&self) {
        let mut table = self.table();
        table.draining = true;
        for (_, board) in table.pollers.drain() {
            board.publish(|slot| {
                slot.end = Some(End::Draining);
                true
            });
            board.dismissal.notify_one();
        }
    }

    /// The table is whole between any two statements, so a panic elsewhere does not spoil it.
    fn table(&self) -> MutexGuard<'_, Table<V>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Clone for Registry<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// === impl Board ===

impl<V> Board<V> {
    /// Changes the slot unless it has been closed. `change` says whether it is news to watchers.
    fn publish(&self, change: impl FnOnce(&mut Slot<V>) -> bool) {
        self.slot.send_if_modified(|slot| slot.end.is_none() && change(slot));
        self.polled.notify_waiters();
    }
}

// === impl Place ===

impl<V> Place<V> {
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The spans of those it polls for.
    pub(super) fn audience(&self) -> Vec<TraceContext> {
        self.board.audience.spans()
    }

    /// Changes the slot. `change` says whether it is news to watchers.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Slot<V>) -> bool) {
        self.board.publish(change);
    }

    /// Changes the slot for the last time. From here on nobody can join.
    pub(super) fn retire(&self, end: End, change: impl FnOnce(&mut Slot<V>)) {
        let mut table = self.registry.table();
        self.leave(&mut table);
        self.board.publish(|slot| {
            change(slot);
            slot.end = Some(end);
            true
        });
    }

    /// Ready when there is nobody to poll for, and nobody can join any more.
    pub(super) async fn dismissed(&self) {
        tokio::select! {
            biased;
            () = self.deserted() => {}
            () = self.board.dismissal.notified() => {}
        }
    }

    async fn deserted(&self) {
        loop {
            self.board.slot.closed().await;
            if self.leave_if_deserted() {
                return;
            }
        }
    }

    /// Ready when a newcomer finds the last poll too old.
    pub(super) async fn nudged(&self) {
        self.board.nudge.notified().await;
    }

    fn leave_if_deserted(&self) -> bool {
        let mut table = self.registry.table();
        // Somebody may have come while nobody held the lock.
        let deserted = self.board.slot.receiver_count() == 0;
        if deserted {
            self.leave(&mut table);
        }
        deserted
    }

    fn leave(&self, table: &mut Table<V>) {
        let own = table.pollers.get(&self.key).is_some_and(|it| Arc::ptr_eq(it, &self.board));
        if own {
            table.pollers.remove(&self.key);
        }
    }
}

impl<V> Drop for Place<V> {
    fn drop(&mut self) {
        // For a poller that ends without a word.
        self.retire(End::Lost, |_| {});
    }
}

// === impl Seat ===

impl<V> Seat<V> {
    pub(super) fn reader(&mut self) -> &mut Reader<V> {
        &mut self.reader
    }

    /// Waits until the slot has news of now, and says what the upstream was asked for it.
    pub(super) async fn settle(&self) -> (Result<(), Refusal>, Option<Fetched>) {
        loop {
            let mut polled = std::pin::pin!(self.board.polled.notified());
            // Before the look, so that no poll is missed between look and wait.
            polled.as_mut().enable();
            if let Some(result) = self.look() {
                let last = self.reader.borrow().last.clone();
                let last = last.map(|last| Fetched { shared: last.shared || self.joined, ..last });
                return (result, last);
            }
            self.board.nudge.notify_one();
            polled.await;
        }
    }

    fn look(&self) -> Option<Result<(), Refusal>> {
        let slot = self.reader.borrow();
        match &slot.end {
            None => {}
            Some(End::Completed) => return Some(Ok(())),
            Some(End::Draining) => return Some(Err(Refusal::Draining)),
            Some(End::Failed(error) | End::OutOfPatience(error)) => {
                return Some(Err(Refusal::Failed(Arc::clone(error))));
            }
            Some(End::DeadlineExceeded | End::Expired | End::Lost) => {
                return Some(Err(Refusal::Lost));
            }
        }
        let now = Instant::now();
        if slot.polls == self.polls && slot.fresh_until <= now {
            return None;
        }
        let left = slot.fresh_until.saturating_duration_since(now);
        Some(match slot.trouble() {
            None => Ok(()),
            Some(error) => Err(Refusal::Failed(FetchError::as_of_now(error, left))),
        })
    }
}

impl<V> Drop for Seat<V> {
    fn drop(&mut self) {
        self.registry.table().watches -= 1;
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
