//! Origins of pages: where a browser says that a page comes from.

use std::{fmt, str::FromStr, sync::Arc};

use http::HeaderValue;

/// Where a page comes from, written as browsers write it: scheme, host, and the port if it is not
/// the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Arc<str>);

/// A text that is no [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// No URL at all.
    #[error("not an origin like https://jobs.example.com")]
    NotAUrl,
    /// Not `http` or `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// A host that no page can have.
    #[error("the host must be a name or an address, in full")]
    Host,
    /// More than scheme, host and port.
    #[error("must end after the host or the port")]
    MoreThanOrigin,
}

/// Whose pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's.
    Any,
    /// Those of these origins.
    These(Vec<Origin>),
}

// === impl Origin ===

impl Origin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    /// Checks an origin, and writes it as browsers do.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = reqwest::Url::parse(text).map_err(|_| InvalidOrigin::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidOrigin::Scheme);
        }
        let host = url.host_str().ok_or(InvalidOrigin::NotAUrl)?;
        // The URL standard lets more through, such as `*` and `;`.
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[:]".contains(&byte)) {
            return Err(InvalidOrigin::Host);
        }
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare {
            return Err(InvalidOrigin::MoreThanOrigin);
        }
        Ok(Self(url.origin().ascii_serialization().into()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Origins ===

impl Origins {
    /// Whether pages of the origin in a request's header may call.
    pub(super) fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::These(origins) => {
                origins.iter().any(|allowed| allowed.0.as_bytes() == origin.as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (text, expected) in [
            ("https://jobs.example.com", Ok("https://jobs.example.com")),
            ("https://Jobs.Example.com:443/", Ok("https://jobs.example.com")),
            ("http://localhost:8080", Ok("http://localhost:8080")),
            ("http://[::1]:80", Ok("http://[::1]")),
            ("https://bücher.example", Ok("https://xn--bcher-kva.example")),
            ("jobs.example.com", Err(InvalidOrigin::NotAUrl)),
            ("null", Err(InvalidOrigin::NotAUrl)),
            ("file:///page.html", Err(InvalidOrigin::Scheme)),
            ("https://*.example.com", Err(InvalidOrigin::Host)),
            ("https://a;b", Err(InvalidOrigin::Host)),
            ("https://jobs.example.com/page", Err(InvalidOrigin::MoreThanOrigin)),
            ("https://me@jobs.example.com", Err(InvalidOrigin::MoreThanOrigin)),
            ("https://jobs.example.com?", Err(InvalidOrigin::MoreThanOrigin)),
        ] {
            let origin = text.parse::<Origin>();
            assert_eq!(origin.as_ref().map(Origin::as_str), expected.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_allowed_whole_or_not_at_all() {
        let origins = Origins::These(vec!["https://jobs.example.com".parse().unwrap()]);
        for (origin, allowed) in [
            ("https://jobs.example.com", true),
            ("http://jobs.example.com", false),
            ("https://jobs.example.com:8443", false),
            ("https://jobs.example.com.evil.example", false),
            ("https://evil.example/https://jobs.example.com", false),
            ("https://jobs.example.co", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(origins.allow(&HeaderValue::from_static(origin)), allowed, "{origin}");
        }
        assert!(Origins::Any.allow(&HeaderValue::from_static("null")));
    }
}
