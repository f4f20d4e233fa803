//! The address of an API, as far as it is the same for all of its calls.

use std::net::IpAddr;

use http::Uri;

/// The address of an API, without the version and path of its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: Box<str>,
    authority: Box<str>,
    path: Box<str>,
    origin: Uri,
    endpoint: (Box<str>, u16),
    exposed: bool,
}

/// A text that is no [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// No URL at all.
    #[error("not a URL like https://vbs.eu-de.otc.t-systems.com")]
    NotAUrl,
    /// Not `http` or `https`.
    #[error("the scheme must be http or https")]
    Scheme,
    /// With a user name or password.
    #[error("must not hold a user name or password")]
    Credentials,
    /// With a `?` or `#` part.
    #[error("must not have a query or fragment")]
    QueryOrFragment,
    /// With the version that the calls add themselves.
    #[error("must not end in an API version such as /v1 or /v2/PROJECT; the calls add their own")]
    Version,
}

// === impl BaseUrl ===

impl BaseUrl {
    /// Checks an address.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url = reqwest::Url::parse(text).map_err(|_| InvalidBaseUrl::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidBaseUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl::QueryOrFragment);
        }
        if ends_in_version(url.path()) {
            return Err(InvalidBaseUrl::Version);
        }
        let host = url.host_str().ok_or(InvalidBaseUrl::NotAUrl)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let origin = Uri::builder().scheme(url.scheme()).authority(&*authority).path_and_query("/");
        let origin = origin.build().map_err(|_| InvalidBaseUrl::NotAUrl)?;
        let port = url.port_or_known_default().ok_or(InvalidBaseUrl::NotAUrl)?;
        let address = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            endpoint: (address.into(), port),
            origin,
            text: url.as_str().trim_end_matches('/').into(),
            authority: authority.into(),
            path: url.path().trim_end_matches('/').into(),
            exposed: url.scheme() == "http" && !is_loopback(host),
        })
    }

    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        self.text.strip_suffix(&*self.path).unwrap_or(&self.text)
    }

    /// The same, with the path `/`.
    pub(super) fn uri(&self) -> Uri {
        self.origin.clone()
    }

    /// Whether secrets that go there can be read on the way, unless something else encrypts them.
    pub(super) fn is_exposed(&self) -> bool {
        self.exposed
    }

    /// Host and port as in the header `host`: without the scheme's own port.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, without brackets, and the port, be it the scheme's own.
    pub(super) fn endpoint(&self) -> (&str, u16) {
        (&self.endpoint.0, self.endpoint.1)
    }

    /// The path in front of the API's own, without a slash at its end; mostly empty.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a path ends in a version, or in a version and a project. Further in front, a version
/// belongs to whatever stands before the API.
fn ends_in_version(path: &str) -> bool {
    let version = |part: &str| matches!(part, "v1" | "v2" | "v3");
    let project = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = path.trim_end_matches('/').rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(last), _) if version(last) => true,
        (Some(last), Some(before)) => version(before) && project(last),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let project = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
        for (text, expected) in [
            ("https://vbs.example", Ok("https://vbs.example")),
            ("http://127.0.0.1:8080/", Ok("http://127.0.0.1:8080")),
            ("https://proxy.example/api/v1/vbs", Ok("https://proxy.example/api/v1/vbs")),
            ("https://vbs.example/v1", Err(InvalidBaseUrl::Version)),
            ("https://vbs.example/v2/", Err(InvalidBaseUrl::Version)),
            (&format!("https://vbs.example/v2/{project}"), Err(InvalidBaseUrl::Version)),
            ("vbs.example", Err(InvalidBaseUrl::NotAUrl)),
            ("ftp://vbs.example", Err(InvalidBaseUrl::Scheme)),
            ("https://me:secret@vbs.example", Err(InvalidBaseUrl::Credentials)),
            ("https://vbs.example?x", Err(InvalidBaseUrl::QueryOrFragment)),
        ] {
            let base = BaseUrl::parse(text);
            assert_eq!(base.as_ref().map(BaseUrl::as_str), expected.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn plain_http_beyond_loopback_is_exposed() {
        for (text, exposed) in [
            ("http://vbs.example", true),
            ("http://10.0.0.1:8080", true),
            ("http://[2001:db8::1]", true),
            ("https://vbs.example", false),
            ("http://127.0.0.1:8080", false),
            ("http://127.0.0.1", false),
            ("http://localhost:1", false),
            ("http://[::1]:8080", false),
            ("http://[::1]", false),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().is_exposed(), exposed, "{text}");
        }
    }

    #[test]
    fn the_parts_that_are_signed() {
        for (text, authority, path) in [
            ("https://vbs.example", "vbs.example", ""),
            ("https://vbs.example:443/", "vbs.example", ""),
            ("http://[::1]:8080/a/b/", "[::1]:8080", "/a/b"),
            ("http://127.0.0.1:80/x", "127.0.0.1", "/x"),
        ] {
            let base = BaseUrl::parse(text).unwrap();
            assert_eq!((base.authority(), base.path()), (authority, path), "{text}");
        }
    }
}
