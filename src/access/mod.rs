//! Who may ask: callers are known by a client certificate or a token, and have projects.
//!
//! The rules are a file. Each call is judged by them as they are at that moment, before anything
//! is sent upstream; a watch is judged again whenever they change.

mod file;
#[cfg(any(test, fuzzing, feature = "measuring"))]
pub(crate) mod fuzzing;
mod rules;
mod san;
mod token;

use std::{path::PathBuf, sync::Arc};

pub use self::{
    rules::{Refusal, Rules, Verdict},
    san::Certificate,
    token::TokenHash,
};
use crate::files::{FileError, Live, Reloads};

/// Who may ask about which projects. Cheap to clone.
#[derive(Clone)]
pub struct Access(Option<Live<Rules>>);

/// By what a caller can be known.
#[derive(Clone, Default)]
pub struct Shown {
    /// The certificate of the connection.
    pub certificate: Option<Certificate>,
    /// The token of the call.
    pub token: Option<TokenHash>,
}

/// The right to go on with a watch.
pub struct Permit {
    rules: Live<Rules>,
    shown: Shown,
}

// === impl Access ===

impl Access {
    /// Without rules: whoever can connect may ask about everything.
    pub fn open() -> Self {
        Self(None)
    }

    /// By the rules in a file, as they are from time to time.
    pub async fn follow(file: PathBuf, reloads: &Reloads) -> Result<Self, FileError> {
        let parse = |files: &[crate::files::File]| file::parse(&files[0]);
        let rules = reloads.follow("callers", vec![file], parse).await?;
        Ok(Self(Some(rules)))
    }

    /// The rules as they are now, if there are any.
    pub fn rules(&self) -> Option<Arc<Rules>> {
        self.0.as_ref().map(Live::current)
    }

    /// What a watch holds on to; `None` if its caller has no right that could be taken from him.
    pub fn permit(&self, shown: Shown) -> Option<Permit> {
        // A change that this clone has not seen yet is looked at first, so none is missed.
        self.0.clone().map(|rules| Permit { rules, shown })
    }
}

// === impl Permit ===

impl Permit {
    /// Ready when the caller may not ask about the project any more.
    #[expect(clippy::manual_async_fn, reason = "would hold its arguments twice while it waits")]
    pub fn lost(mut self, project: Box<str>) -> impl Future<Output = Refusal> + Send {
        async move {
            loop {
                self.rules.changed().await;
                let rules = self.rules.current();
                if let Err(refusal) = rules.judge(&self.shown, &project).outcome {
                    return refusal;
                }
            }
        }
    }
}
