//! How many of a thing each caller has.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher as _, Hash},
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{access::Certificate, upstream::Credential};

/// Whose call it is, as far as one can know.
#[derive(Hash)]
pub(super) enum Who {
    /// The rules have this name for him.
    Known(Arc<str>),
    /// He has shown a certificate with these names.
    Certified(Certificate),
    /// He brings this token.
    Holder(Credential),
    /// He calls from there.
    At(Option<IpAddr>),
}

/// How many of a thing each caller has, up to a limit. Cheap to clone.
#[derive(Clone)]
pub(super) struct PerCaller(Option<(NonZeroUsize, Arc<Counts>)>);

/// The caller has as many as he may have.
#[derive(Debug)]
pub(super) struct Full;

/// One of the things. Dropped, it is counted no more.
pub(super) struct Share {
    counts: Arc<Counts>,
    key: u64,
}

/// Callers are kept as keyed hashes, which tell nothing of a token. Should two have the same one,
/// they share a limit, and nothing else.
#[derive(Default)]
struct Counts {
    hasher: RandomState,
    table: Mutex<HashMap<u64, usize>>,
}

// === impl PerCaller ===

impl PerCaller {
    /// Without a limit, nothing is counted.
    pub(super) fn new(max: Option<NonZeroUsize>) -> Self {
        Self(max.map(|max| (max, Arc::default())))
    }

    pub(super) fn take(&self, who: &Who) -> Result<Option<Share>, Full> {
        let Some((max, counts)) = &self.0 else {
            return Ok(None);
        };
        let key = counts.hasher.hash_one(who);
        let mut table = counts.table();
        let count = table.get(&key).copied().unwrap_or(0);
        if count >= max.get() {
            return Err(Full);
        }
        table.insert(key, count + 1);
        drop(table);
        Ok(Some(Share { counts: Arc::clone(counts), key }))
    }
}

// === impl Counts ===

impl Counts {
    fn table(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Share ===

impl Drop for Share {
    fn drop(&mut self) {
        let mut table = self.counts.table();
        match table.get(&self.key).copied() {
            Some(count) if count > 1 => table.insert(self.key, count - 1),
            // Who has none takes no memory.
            Some(_) | None => table.remove(&self.key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Token;

    fn callers() -> Vec<Who> {
        let token = |text: &str| Who::Holder(Token::parse(text.as_bytes()).unwrap().into());
        let certificate = |host| Who::Certified(Certificate::new([host], []));
        vec![
            Who::Known("a".into()),
            Who::Known("b".into()),
            token("a"),
            token("b"),
            certificate("a"),
            certificate("b"),
            Who::At(None),
            Who::At(Some([127, 0, 0, 1].into())),
            Who::At(Some([127, 0, 0, 2].into())),
        ]
    }

    #[test]
    fn each_caller_has_his_own_limit() {
        let counted = PerCaller::new(NonZeroUsize::new(2));
        // The same callers, met again.
        let taken: Vec<_> = callers()
            .iter()
            .zip(&callers())
            .map(|(who, again)| {
                let shares = [counted.take(who).ok().unwrap(), counted.take(again).ok().unwrap()];
                assert!(counted.take(who).is_err());
                shares
            })
            .collect();
        drop(taken);
        for who in &callers() {
            assert!(counted.take(who).is_ok(), "what was given back can be had again");
        }
    }

    #[test]
    fn who_has_none_takes_no_memory() {
        let counted = PerCaller::new(NonZeroUsize::new(2));
        let (_, counts) = counted.0.as_ref().unwrap();
        let who = Who::Known("a".into());
        let shares = [counted.take(&who), counted.take(&who)];
        assert_eq!(counts.table().len(), 1);
        drop(shares);
        assert!(counts.table().is_empty());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let counted = PerCaller::new(None);
        assert!(counted.take(&Who::At(None)).is_ok_and(|share| share.is_none()));
    }
}
