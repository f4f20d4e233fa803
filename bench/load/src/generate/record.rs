//! How long calls took, while it is measured.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hdrhistogram::Histogram;

pub struct Record {
    on: AtomicBool,
    /// Nanoseconds.
    times: Mutex<Histogram<u64>>,
}

// === impl Record ===

impl Record {
    pub fn begin(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    pub fn add(&self, took: Duration) {
        if self.on.load(Ordering::Relaxed) {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.times.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(nanos);
        }
    }

    /// How many calls, and their times.
    pub fn taken(&self) -> (u64, Histogram<u64>) {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (times.len(), times)
    }
}

impl Default for Record {
    fn default() -> Self {
        // A microsecond to a minute, to three digits; the bounds are right as they stand.
        let times = Histogram::new_with_bounds(1_000, 60_000_000_000, 3);
        Self { on: AtomicBool::new(false), times: Mutex::new(times.expect("good bounds")) }
    }
}
