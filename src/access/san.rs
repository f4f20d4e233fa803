//! The names in a client's certificate, and the patterns that rules have for them.

use std::{net::IpAddr, sync::Arc};

/// The names in a client's certificate: its subject alternative names. Cheap to clone.
///
/// The subject itself is not looked at: what stands there is not always checked by who issued it.
#[derive(Clone, Debug, Hash)]
pub struct Certificate(Arc<Names>);

#[derive(Debug, Hash)]
struct Names {
    dns: Vec<Box<str>>,
    uris: Vec<Box<str>>,
}

/// Which names are meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This host.
    Dns(Box<str>),
    /// All hosts one label below this one.
    DnsBelow(Box<str>),
    /// This URI.
    Uri(Box<str>),
    /// All URIs below this one, which ends with a slash.
    UriBelow(Box<str>),
}

/// A text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPattern {
    #[error("an IP address names nobody here")]
    Address,
    #[error("must be a DNS name such as backup.example.com, or *.example.com for one label")]
    Dns,
    #[error("must be a URI such as spiffe://prod/ns/backup, with /* at the end for all below it")]
    Uri,
}

// === impl Certificate ===

impl Certificate {
    /// A certificate with these names.
    pub fn new<'a>(
        dns: impl IntoIterator<Item = &'a str>,
        uris: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        // A certificate for many hosts is no host's own.
        let dns = dns.into_iter().filter(|name| !name.contains('*')).map(Box::from).collect();
        let uris = uris.into_iter().map(Box::from).collect();
        Self(Arc::new(Names { dns, uris }))
    }

    /// The first of its names, for the log.
    pub fn name(&self) -> Option<&str> {
        let Names { dns, uris } = &*self.0;
        uris.iter().chain(dns).next().map(|name| &**name)
    }

    pub(super) fn matches(&self, pattern: &Pattern) -> bool {
        let Names { dns, uris } = &*self.0;
        match pattern {
            Pattern::Dns(host) => dns.iter().any(|name| name.eq_ignore_ascii_case(host)),
            Pattern::DnsBelow(host) => dns.iter().any(|name| {
                let parent = name.split_once('.').map(|(_, parent)| parent);
                parent.is_some_and(|parent| parent.eq_ignore_ascii_case(host))
            }),
            Pattern::Uri(uri) => uris.contains(uri),
            Pattern::UriBelow(uri) => uris.iter().any(|name| {
                name.strip_prefix(&**uri).is_some_and(|path| path.split('/').all(is_plain))
            }),
        }
    }
}

/// Whether a segment of a path leads down.
fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

// === impl Pattern ===

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.parse::<IpAddr>().is_ok() {
            return Err(InvalidPattern::Address);
        }
        if text.contains(':') {
            return Self::uri(text).ok_or(InvalidPattern::Uri);
        }
        let (host, below) = match text.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (text, false),
        };
        if host.len() > 253 || !host.split('.').all(is_label) {
            return Err(InvalidPattern::Dns);
        }
        Ok(if below { Self::DnsBelow(host.into()) } else { Self::Dns(host.into()) })
    }

    fn uri(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let graphic = |byte: u8| byte.is_ascii_graphic() && byte != b'*';
        match text.strip_suffix('*') {
            Some(above) if above.bytes().all(graphic) => {
                let place = rest.strip_prefix("//")?.strip_suffix("/*")?;
                (!scheme.is_empty() && place.split('/').all(is_plain))
                    .then(|| Self::UriBelow(above.into()))
            }
            None if text.bytes().all(graphic) => {
                (!scheme.is_empty() && !rest.is_empty()).then(|| Self::Uri(text.into()))
            }
            Some(_) | None => None,
        }
    }
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, expected) in [
            ("backup.example.com", "backup.example.com", true),
            ("backup.example.com", "Backup.EXAMPLE.com", true),
            ("BACKUP.example.com", "backup.example.com", true),
            ("backup.example.com", "backup.example.com.evil.com", false),
            ("backup.example.com", "xbackup.example.com", false),
            ("backup.example.com", "*.example.com", false),
            ("*.example.com", "*.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "A.Example.Com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "aexample.com", false),
            ("*.example.com", "a.evilexample.com", false),
            ("spiffe://prod/ns/a", "spiffe://prod/ns/a", true),
            ("spiffe://prod/ns/a", "spiffe://prod/ns/A", false),
            ("spiffe://prod/ns/a", "spiffe://prod/ns/a/", false),
            ("spiffe://prod/ns/a", "spiffe://prod/ns/ab", false),
            ("spiffe://prod/ns/a", "spiffe://prod/ns/a/b", false),
            ("spiffe://prod/ns/*", "spiffe://prod/ns/a", true),
            ("spiffe://prod/ns/*", "spiffe://prod/ns/a/sa/b", true),
            ("spiffe://prod/ns/*", "spiffe://prod/ns", false),
            ("spiffe://prod/ns/*", "spiffe://prod/ns/", false),
            ("spiffe://prod/ns/*", "spiffe://prod/nsx/a", false),
            ("spiffe://prod/ns/*", "spiffe://prod/ns/../admin", false),
            ("spiffe://prod/ns/*", "spiffe://prod/ns/a/./b", false),
            ("spiffe://prod/ns/*", "spiffe://prod/ns//a", false),
            ("spiffe://prod/*", "spiffe://prod/a", true),
            ("spiffe://prod/*", "spiffe://prod.evil/a", false),
            ("urn:uuid:1", "urn:uuid:1", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            let (dns, uris) =
                if name.contains(':') { (None, Some(name)) } else { (Some(name), None) };
            let certificate = Certificate::new(dns, uris);
            assert_eq!(certificate.matches(&parsed), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_name_of_one_kind_is_none_of_the_other() {
        let certificate = Certificate::new(["spiffe://prod/a"], ["example.com"]);
        for pattern in ["spiffe://prod/a", "spiffe://prod/*", "example.com"] {
            assert!(!certificate.matches(&Pattern::parse(pattern).unwrap()), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said_so() {
        use InvalidPattern::{Address, Dns, Uri};
        let long = "a".repeat(64);
        for (text, expected) in [
            ("", Dns),
            ("*", Dns),
            ("*.", Dns),
            ("a..b", Dns),
            ("a.example.com.", Dns),
            ("a*.example.com", Dns),
            ("*.*.example.com", Dns),
            ("a.*.example.com", Dns),
            ("a b", Dns),
            ("bäckup.example.com", Dns),
            (&long, Dns),
            ("10.0.0.1", Address),
            ("::1", Address),
            ("spiffe://*", Uri),
            ("spiffe:///*", Uri),
            ("spiffe://prod/a*", Uri),
            ("spiffe://prod/*/a", Uri),
            ("spiffe://prod/*/*", Uri),
            ("spiffe://prod/../*", Uri),
            ("spiffe://prod//*", Uri),
            ("spiffe:prod/*", Uri),
            ("://prod", Uri),
            ("spiffe:", Uri),
            ("spiffe://prod/a b", Uri),
        ] {
            assert_eq!(Pattern::parse(text), Err(expected), "{text}");
        }
    }
}
