//! The rules: who a caller is, and whether he may ask about a project.

use std::{collections::HashSet, sync::Arc};

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use super::{
    Shown,
    san::{Certificate, Pattern},
    token::TokenHash,
};

/// All rules, as they were read at one time.
#[derive(Default)]
pub struct Rules {
    callers: Vec<Caller>,
    /// Whose token has which hash, by his place in `callers`.
    tokens: Vec<(TokenHash, u32)>,
}

/// One caller.
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) projects: Projects,
}

/// What a caller may ask about.
pub(super) enum Projects {
    All,
    These(HashSet<Box<str>>),
}

/// What the rules say of a call.
pub struct Verdict {
    /// The name of the rule that knows the caller, whether it allows the call or not.
    pub caller: Option<Arc<str>>,
    /// Whether the call may go on.
    pub outcome: Result<(), Refusal>,
}

/// Why a call may not go on. Its text is what the caller may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The call has neither certificate nor token.
    #[error(
        "the call does not say who calls: this gateway wants a client certificate, or the \
         caller's token as authorization: Bearer"
    )]
    Missing,
    /// The caller is known, but not for this project.
    #[error("the gateway's rules do not allow this caller to ask about the project")]
    Project,
    /// No rule has a name of the certificate.
    #[error("the gateway's rules do not know the client certificate")]
    UnknownCertificate,
    /// No rule has the token.
    #[error("the gateway does not know the token in authorization: Bearer")]
    UnknownToken,
}

// === impl Rules ===

impl Rules {
    /// Adds a caller with his tokens.
    pub(super) fn add(&mut self, caller: Caller, tokens: Vec<TokenHash>) {
        let place = u32::try_from(self.callers.len()).unwrap_or(u32::MAX);
        self.callers.push(caller);
        self.tokens.extend(tokens.into_iter().map(|token| (token, place)));
    }

    /// The caller with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.callers.iter().any(|caller| *caller.name == *name)
    }

    /// Whether callers may be known by tokens: then `authorization: Bearer` has the caller's own.
    pub fn take_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Judges a call. Whoever is known by both certificate and token may what either may.
    pub fn judge(&self, shown: &Shown, project: &str) -> Verdict {
        let by_token = shown.token.as_ref().map(|token| self.owner(token));
        if let Some(None) = by_token {
            return Verdict { caller: None, outcome: Err(Refusal::UnknownToken) };
        }
        let by_certificate = shown.certificate.iter().flat_map(|it| self.named(it));
        let mut known = by_token.flatten().into_iter().chain(by_certificate);
        let Some(first) = known.next() else {
            let refusal = match shown.certificate {
                Some(_) => Refusal::UnknownCertificate,
                None => Refusal::Missing,
            };
            return Verdict { caller: None, outcome: Err(refusal) };
        };
        let allowed = |caller: &&Caller| caller.projects.have(project);
        match Some(first).filter(allowed).or_else(|| known.find(allowed)) {
            Some(caller) => Verdict { caller: Some(Arc::clone(&caller.name)), outcome: Ok(()) },
            None => {
                Verdict { caller: Some(Arc::clone(&first.name)), outcome: Err(Refusal::Project) }
            }
        }
    }

    /// Looks at all tokens to their end, so that the time tells nothing of them.
    pub(super) fn owner(&self, token: &TokenHash) -> Option<&Caller> {
        let mut owner = u32::MAX;
        for (hash, place) in &self.tokens {
            owner.conditional_assign(place, hash.ct_eq(token));
        }
        self.callers.get(usize::try_from(owner).ok()?)
    }

    fn named(&self, certificate: &Certificate) -> impl Iterator<Item = &Caller> {
        let named = |it: &&Caller| it.patterns.iter().any(|pattern| certificate.matches(pattern));
        self.callers.iter().filter(named)
    }
}

// === impl Projects ===

impl Projects {
    fn have(&self, project: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(projects) => projects.contains(project),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let mut rules = Rules::default();
        let callers: [(_, &[&str], &[&str], &[&str]); 4] = [
            ("first", &[], &["t1", "t2"], &["p1"]),
            ("both", &["*.example.com"], &["t3"], &["p2", "p3"]),
            ("host", &["a.example.com", "spiffe://prod/a"], &[], &["p4"]),
            ("admin", &[], &["t4"], &["*"]),
        ];
        for (name, patterns, tokens, projects) in callers {
            let patterns = patterns.iter().map(|it| Pattern::parse(it).unwrap()).collect();
            let projects = match projects {
                ["*"] => Projects::All,
                these => Projects::These(these.iter().copied().map(Box::from).collect()),
            };
            let tokens = tokens.iter().map(|token| TokenHash::of(token.as_bytes())).collect();
            rules.add(Caller { name: name.into(), patterns, projects }, tokens);
        }
        rules
    }

    #[test]
    fn each_token_has_its_owner_and_no_other() {
        let rules = rules();
        for (token, owner) in [
            ("t1", Some("first")),
            ("t2", Some("first")),
            ("t3", Some("both")),
            ("t4", Some("admin")),
            ("t5", None),
            ("", None),
            ("t", None),
            ("t11", None),
            ("T1", None),
        ] {
            let found = rules.owner(&TokenHash::of(token.as_bytes()));
            assert_eq!(found.map(|caller| &*caller.name), owner, "{token}");
        }
        assert!(Rules::default().owner(&TokenHash::of(b"t1")).is_none());
    }

    #[test]
    fn whoever_is_known_may_what_one_of_his_rules_allows() {
        let rules = rules();
        for (hosts, token, project, caller, outcome) in [
            (None, Some("t1"), "p1", Some("first"), Ok(())),
            (None, Some("t1"), "p2", Some("first"), Err(Refusal::Project)),
            (None, Some("t4"), "any", Some("admin"), Ok(())),
            (None, Some("t9"), "p1", None, Err(Refusal::UnknownToken)),
            (None, None, "p1", None, Err(Refusal::Missing)),
            (Some("b.example.com"), None, "p2", Some("both"), Ok(())),
            (Some("b.example.com"), None, "p4", Some("both"), Err(Refusal::Project)),
            (Some("a.example.com"), None, "p3", Some("both"), Ok(())),
            (Some("a.example.com"), None, "p4", Some("host"), Ok(())),
            (Some("other.com"), None, "p1", None, Err(Refusal::UnknownCertificate)),
            // Both: either is enough, but a token must be known.
            (Some("a.example.com"), Some("t1"), "p4", Some("host"), Ok(())),
            (Some("a.example.com"), Some("t1"), "p1", Some("first"), Ok(())),
            (Some("a.example.com"), Some("t1"), "p9", Some("first"), Err(Refusal::Project)),
            (Some("other.com"), Some("t1"), "p1", Some("first"), Ok(())),
            (Some("a.example.com"), Some("t9"), "p4", None, Err(Refusal::UnknownToken)),
        ] {
            let shown = Shown {
                certificate: hosts.map(|host| Certificate::new([host], [])),
                token: token.map(|token| TokenHash::of(token.as_bytes())),
            };
            let verdict = rules.judge(&shown, project);
            assert_eq!(
                (verdict.caller.as_deref(), verdict.outcome),
                (caller, outcome),
                "{hosts:?} {token:?} {project}"
            );
        }
    }
}
