//! Fetches under way, each shared by all who ask for the same thing at the same time.
//!
//! Not a cache: an answer goes to those who waited for it and to nobody after.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::Instant;

/// A fetch under way, for one who waits.
pub(super) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The fetches under way, by what they fetch.
///
/// A flight belongs to its waiters: when the last of them goes, the flight ends where it is and
/// its connection with it.
pub(super) struct Flights<K, T: Clone>(Arc<Mutex<Table<K, T>>>);

struct Table<K, T: Clone> {
    flights: HashMap<K, Slot<T>>,
    next: u64,
}

struct Slot<T: Clone> {
    number: u64,
    flight: WeakShared<BoxFuture<'static, T>>,
    terms: Terms,
}

/// What somebody who waits for a flight wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Until when he waits.
    pub(super) deadline: Instant,
    /// Whether what fails may be repeated for him.
    pub(super) repeats: bool,
}

/// The wishes of all who wait for a flight, or have waited: the most generous counts.
#[derive(Clone)]
pub(super) struct Terms(Arc<Mutex<Wish>>);

/// Takes a flight out of the table when it ends, in whatever way, and before its answer is there.
struct Landing<K: Eq + Hash, T: Clone> {
    table: Arc<Mutex<Table<K, T>>>,
    key: K,
    number: u64,
}

// === impl Flights ===

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Table { flights: HashMap::new(), next: 0 })))
    }

    /// The flight of `key`, to be waited for, which `start` makes if there is none. Also says
    /// whether it was there already.
    pub(super) fn join<F>(
        &self,
        key: K,
        wish: Wish,
        start: impl FnOnce(Terms) -> F,
    ) -> (Flight<T>, bool)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut table = lock(&self.0);
        let number = table.next;
        table.next += 1;
        let slot = table.flights.entry(key.clone());
        if let Entry::Occupied(slot) = &slot
            && let Some(flight) = slot.get().flight.upgrade()
        {
            // One that is still in the table has not landed: see `Landing`.
            slot.get().terms.extend(wish);
            return (flight, true);
        }
        let terms = Terms(Arc::new(Mutex::new(wish)));
        let landing = Landing { table: Arc::clone(&self.0), key, number };
        // In a box: the block would have it twice, before and while it is awaited.
        let work = Box::pin(start(terms.clone()));
        let flight: Flight<T> = async move {
            let _landing = landing;
            work.await
        }
        .boxed()
        .shared();
        if let Some(weak) = flight.downgrade() {
            slot.insert_entry(Slot { number, flight: weak, terms });
        }
        (flight, false)
    }
}

impl<K, T: Clone> Clone for Flights<K, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// === impl Terms ===

impl Terms {
    /// The terms as of now; they may become more generous.
    pub(super) fn now(&self) -> Wish {
        *lock(&self.0)
    }

    fn extend(&self, wish: Wish) {
        let mut terms = lock(&self.0);
        terms.deadline = terms.deadline.max(wish.deadline);
        terms.repeats |= wish.repeats;
    }
}

// === impl Landing ===

impl<K: Eq + Hash, T: Clone> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        // A newer flight may have taken the place; rarely, so it is put back.
        match table.flights.remove_entry(&self.key) {
            Some((key, slot)) if slot.number != self.number => {
                table.flights.insert(key, slot);
            }
            Some(_) | None => {}
        }
    }
}

/// The table is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "flights_tests.rs"]
mod tests;
