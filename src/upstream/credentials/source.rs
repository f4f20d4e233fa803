//! Where the gateway's secrets are.

use std::{path::PathBuf, sync::Arc};

use crate::{
    files::{File, FileError, Live, Reloads},
    upstream::secret::Secret,
};

/// Where a secret is. It is never a flag's value, which every list of processes shows.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The line of a file, which is read again when it changes.
    File(PathBuf),
    /// At hand, mostly from a variable of the environment.
    Value(Secret),
}

// === impl SecretSource ===

impl SecretSource {
    /// The secrets of all sources, in their order, as they are at one time.
    pub(super) async fn follow<const N: usize>(
        what: &'static str,
        sources: [Option<&Self>; N],
        reloads: &Reloads,
    ) -> Result<Live<[Option<Secret>; N]>, FileError> {
        let sources = sources.map(Option::<&Self>::cloned);
        let paths: Vec<_> = sources.iter().flatten().filter_map(Self::path).collect();
        let unchanging = paths.is_empty();
        let sources = Arc::new(sources);
        let read = move |files: &[File]| {
            let mut files = files.iter();
            let mut secrets = [const { None }; N];
            for (secret, source) in secrets.iter_mut().zip(&*sources) {
                *secret = match source {
                    None => None,
                    Some(Self::Value(value)) => Some(value.clone()),
                    Some(Self::File(_)) => files.next().map(line).transpose()?,
                };
            }
            Ok(secrets)
        };
        if unchanging {
            return Ok(Live::constant(read(&[])?));
        }
        reloads.follow(what, paths, read).await
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Value(_) => None,
        }
    }
}

fn line(file: &File) -> Result<Secret, FileError> {
    Secret::line(&file.bytes).map_err(|invalid| FileError::content(file, &invalid))
}
