//! Writes the lines of the log, many at a time, in a thread of its own.
//!
//! A worker that wrote by itself would stop with all of its calls when the reader of standard error
//! falls asleep, and would write once for each line. The ready-made writer of tracing's family has a
//! thread as well, but was seen to write each line by itself.

use std::{
    fmt, io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines are gathered before they are written.
const GATHERING: Duration = Duration::from_millis(10);

/// The most bytes of lines that wait. Lines beyond are lost.
const MAX_WAITING: usize = 4 << 20;

/// How long the end of the process waits for the reader of the last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Those of this process.
static WAITING: OnceLock<Arc<Waiting>> = OnceLock::new();

/// The lines that are not written yet.
#[derive(Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    /// There are some, or there will be no more.
    some: Condvar,
    /// All have been written.
    none: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    lost: u64,
    writing: bool,
    finished: bool,
}

/// Takes lines.
#[derive(Clone)]
pub(super) struct Lines(pub(super) Arc<Waiting>);

/// Counts the lines that were lost.
#[derive(Debug)]
pub(super) struct LostLines;

/// Starts to write to `out`.
pub(super) fn start(mut out: impl io::Write + Send + 'static) -> io::Result<Arc<Waiting>> {
    let waiting = Arc::new(Waiting::default());
    let these = Arc::clone(&waiting);
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        let mut lines = Vec::new();
        while these.take(&mut lines) {
            // Where the log can't go, there is nowhere to say so but among the metrics.
            if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                these.lose(&lines);
            }
            lines.clear();
        }
    })?;
    Ok(waiting)
}

/// Makes these the lines that [`LostLines`] counts.
pub(super) fn count_of_process(waiting: &Arc<Waiting>) {
    let _ = WAITING.set(Arc::clone(waiting));
}

// === impl Waiting ===

impl Waiting {
    fn put(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() + line.len() > MAX_WAITING {
            state.lost += 1;
            return;
        }
        let first = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if first {
            self.some.notify_one();
        }
    }

    /// Counts lines that could not be written, or in part only.
    fn lose(&self, lines: &[u8]) {
        let lost = lines.split_inclusive(|byte| *byte == b'\n').count();
        self.state().lost += u64::try_from(lost).unwrap_or(u64::MAX);
    }

    /// Waits for lines, gathers more, and takes them all; false if there will be none any more.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        state.writing = false;
        if state.lines.is_empty() {
            self.none.notify_all();
        }
        while state.lines.is_empty() && !state.finished {
            state = self.some.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.finished {
            drop(state);
            thread::sleep(GATHERING);
            state = self.state();
        }
        mem::swap(lines, &mut state.lines);
        state.writing = !lines.is_empty();
        state.writing || !state.finished
    }

    /// Waits, for a limited time, until all lines are written.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.finished = true;
        self.some.notify_one();
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        drop(self.none.wait_timeout_while(state, LAST_WORDS, busy));
    }

    /// The lines are whole between any two statements, so a panic elsewhere does not spoil them.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lines ===

impl io::Write for Lines {
    /// Takes a whole line: that is how they come.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

// === impl LostLines ===

impl Collector for LostLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lost = WAITING.get().map_or(0, |waiting| waiting.state().lost);
        let (name, help) =
            ("jobgate_log_lines_lost", "Lines of log that were not read in time, or not written.");
        let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(lost).encode(counter)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::mpsc};

    use super::*;

    /// Writes nothing before it is told to.
    struct Reader {
        go: mpsc::Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl io::Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Told for ever once nobody tells any more.
            let _ = self.go.recv();
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn reader() -> (Reader, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (tell, go) = mpsc::channel();
        let read = Arc::default();
        (Reader { go, read: Arc::clone(&read) }, tell, read)
    }

    #[test]
    fn what_waits_at_the_end_is_written_in_order() {
        let (reader, tell, read) = reader();
        drop(tell);
        let waiting = start(reader).unwrap();
        let mut expected = Vec::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            Lines(Arc::clone(&waiting)).write_all(line.as_bytes()).unwrap();
            expected.extend_from_slice(line.as_bytes());
        }
        waiting.finish();
        assert!(*read.lock().unwrap() == expected);
    }

    #[test]
    fn a_reader_who_sleeps_stops_nobody_and_lost_lines_are_counted() {
        let (reader, tell, read) = reader();
        let waiting = start(reader).unwrap();
        let line = [b'x'; 1 << 10];
        let fits = 2 * MAX_WAITING / line.len();
        for _ in 0..3 * fits {
            waiting.put(&line);
        }
        let lost = waiting.state().lost;
        assert!(lost > 0);
        drop(tell);
        waiting.finish();
        let read = read.lock().unwrap().len() / line.len();
        assert_eq!(u64::try_from(read).unwrap() + lost, u64::try_from(3 * fits).unwrap());
    }

    #[test]
    fn lines_that_can_not_be_written_are_counted() {
        struct Full;

        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let waiting = start(Full).unwrap();
        for _ in 0..3 {
            waiting.put(b"line\n");
        }
        waiting.finish();
        assert_eq!(waiting.state().lost, 3);
    }
}
