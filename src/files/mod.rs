//! Files that may change while the program runs: certificates, rules, secrets.
//!
//! They are looked at by content again and again, so it does not matter how they change: written in
//! place, renamed over, or swapped behind a symbolic link as Kubernetes does. What can't be used is
//! complained of once, and the last good state stays.

mod pem;

use std::{
    fmt::{self, Write as _},
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, time::sleep};

/// The most bytes of a file; one with more is the wrong file.
pub const MAX_FILE: u64 = 1 << 20;

/// How often a change under the reader's hands is waited out.
const MAX_READS: usize = 5;

/// When files are looked at again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloads {
    interval: Duration,
    now: watch::Sender<()>,
    outcomes: Family<Labels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    files: &'static str,
    outcome: Outcome,
}

/// What came of files that had changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Failed,
    Ok,
}

/// What was made of files, as it is now. Cheap to clone.
pub struct Live<T>(watch::Receiver<Arc<T>>);

/// One file as it was read. Its bytes are wiped after use.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Files that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// What is in it is wrong. The problem never quotes it.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It is a directory, a pipe or a device.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// Which file.
        path: PathBuf,
    },
    /// It can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is over [`MAX_FILE`].
    #[error("{} has more than {MAX_FILE} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

type Hash = [u8; 32];

/// The files behind one [`Live`].
struct Followed<P> {
    what: &'static str,
    paths: Arc<[PathBuf]>,
    parse: P,
    outcomes: Family<Labels, Counter>,
    /// Of the content that is in use.
    used: Option<Hash>,
    /// What was last complained of.
    complained: Option<Complaint>,
}

#[derive(PartialEq, Eq)]
enum Complaint {
    /// Of this content.
    Content(Hash),
    /// That there is none.
    Unreadable,
}

// === impl Reloads ===

impl Reloads {
    /// Looks at files each `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, now: watch::Sender::new(()), outcomes: Family::default() }
    }

    /// Registers how often files were read again.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "jobgate_reloads",
            "Files that had changed and were read again, by what came of it",
            self.outcomes.clone(),
        );
    }

    /// Looks at all files at once.
    pub fn now(&self) {
        self.now.send_replace(());
    }

    /// Ready at the next [`Reloads::now`].
    pub async fn told(&self) {
        // The sender lives as long as this does.
        let _ = self.now.subscribe().changed().await;
    }

    /// Makes something of files, and again whenever they change. `what` is for the log.
    ///
    /// Fails if they are not good at the start. Follows them until nobody looks at the result.
    pub async fn follow<T, P>(
        &self,
        what: &'static str,
        paths: Vec<PathBuf>,
        parse: P,
    ) -> Result<Live<T>, FileError>
    where
        T: Send + Sync + 'static,
        P: Fn(&[File]) -> Result<T, FileError> + Send + 'static,
    {
        let outcomes = self.outcomes.clone();
        let mut followed =
            Followed { what, paths: paths.into(), parse, outcomes, used: None, complained: None };
        // From zero on, so that the first one is seen to be one.
        followed.count(Outcome::Ok, 0);
        followed.count(Outcome::Failed, 0);
        let files = read_all(&followed.paths).await?;
        followed.used = Some(hash(&files));
        let first = (followed.parse)(&files)?;
        let (sender, receiver) = watch::channel(Arc::new(first));
        let (this, mut now) = (self.clone(), self.now.subscribe());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    () = sleep(this.interval) => {}
                    _ = now.changed() => {}
                }
                if let Some(value) = followed.look().await {
                    sender.send_replace(Arc::new(value));
                }
            }
        });
        Ok(Live(receiver))
    }

    /// The same, if there are any files: what is made of none never changes.
    pub async fn follow_any<T, P>(
        &self,
        what: &'static str,
        paths: Vec<PathBuf>,
        parse: P,
    ) -> Result<Live<T>, FileError>
    where
        T: Send + Sync + 'static,
        P: Fn(&[File]) -> Result<T, FileError> + Send + 'static,
    {
        if paths.is_empty() {
            return parse(&[]).map(Live::constant);
        }
        self.follow(what, paths, parse).await
    }
}

// === impl Live ===

impl<T> Live<T> {
    /// Something that never changes.
    pub fn constant(value: T) -> Self {
        Self(watch::channel(Arc::new(value)).1)
    }

    /// As it is now.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Ready when it has changed since the last time this was ready.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// === impl FileError ===

impl FileError {
    /// Something is wrong with what is in a file.
    pub fn content(file: &File, problem: &dyn std::fmt::Display) -> Self {
        Self::Content { path: file.path.clone(), problem: problem.to_string() }
    }
}

// === impl Followed ===

impl<P> Followed<P> {
    /// What has become of the files, if they have changed for the better.
    async fn look<T>(&mut self) -> Option<T>
    where
        P: Fn(&[File]) -> Result<T, FileError>,
    {
        let read = read_all(&self.paths).await;
        let hash = read.as_ref().ok().map(|files| hash(files));
        if hash.is_some() && hash == self.used {
            // It may have been away for a while; nothing has come of it.
            self.complained = None;
            return None;
        }
        let complaint = hash.map_or(Complaint::Unreadable, Complaint::Content);
        if self.complained.as_ref() == Some(&complaint) {
            return None;
        }
        let what = self.what;
        match read.and_then(|files| (self.parse)(&files)) {
            Ok(value) => {
                (self.used, self.complained) = (hash, None);
                tracing::info!(what, "reloaded");
                self.count(Outcome::Ok, 1);
                Some(value)
            }
            Err(error) => {
                self.complained = Some(complaint);
                let cause = std::error::Error::source(&error).map(tracing::field::display);
                tracing::error!(what, %error, cause, "can't reload; the old one stays in use");
                self.count(Outcome::Failed, 1);
                None
            }
        }
    }

    fn count(&self, outcome: Outcome, more: u64) {
        self.outcomes.get_or_create(&Labels { files: self.what, outcome }).inc_by(more);
    }
}

// === impl Outcome ===

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Failed => "failed",
            Self::Ok => "ok",
        })
    }
}

/// Reads all files as they are at one time.
async fn read_all(paths: &Arc<[PathBuf]>) -> Result<Vec<File>, FileError> {
    let paths = Arc::clone(paths);
    let reading = tokio::task::spawn_blocking(move || {
        let each = || paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>();
        let mut files = each()?;
        // A certificate of yesterday with the key of today is no pair.
        for _ in 1..MAX_READS {
            let again = each()?;
            let same = hash(&files) == hash(&again);
            files = again;
            if same {
                break;
            }
        }
        Ok(files)
    });
    reading.await.unwrap_or_else(|stopped| {
        Err(FileError::Read { path: PathBuf::new(), source: io::Error::other(stopped) })
    })
}

fn read(path: &Path) -> Result<File, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    // Opening a pipe would wait for somebody to write.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let file = fs::File::open(path).map_err(failed)?;
    // Room for all of it from the start: growing would leave copies behind.
    let size = file.metadata().map_err(failed)?.len().min(MAX_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(File { path: path.to_owned(), bytes })
}

fn hash(files: &[File]) -> Hash {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(Sha256::digest(&*file.bytes));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
