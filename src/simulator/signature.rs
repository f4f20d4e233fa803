//! Signatures of requests, checked: `SDK-HMAC-SHA256`.
//!
//! Works from what arrived and from what the client says it signed.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, request::Parts};
use jiff::{Timestamp, civil::DateTime, tz::Offset};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands in `X-Sdk-Content-Sha256` if the body is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What the header `Authorization` says.
#[derive(Debug, PartialEq)]
pub(super) struct Claim<'a> {
    pub(super) access_key: &'a str,
    /// The names of the signed headers, as they stand there.
    names: &'a str,
    signature: &'a str,
}

/// The time in `X-Sdk-Date`.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = text(headers, "x-sdk-date")?;
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    Offset::UTC.to_timestamp(date).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

// === impl Claim ===

impl<'a> Claim<'a> {
    pub(super) fn parse(authorization: &'a str) -> Option<Self> {
        let rest = authorization.strip_prefix("SDK-HMAC-SHA256 ")?;
        let mut parts = rest.split(',').map(str::trim);
        let access_key = parts.next()?.strip_prefix("Access=")?;
        let names = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = parts.next()?.strip_prefix("Signature=")?;
        parts.next().is_none().then_some(Self { access_key, names, signature })
    }

    /// Whether a request was signed with this secret key.
    pub(super) fn holds(&self, secret_key: &str, parts: &Parts, body: &[u8]) -> bool {
        let Some(text) = self.text(parts, body) else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()) else {
            return false;
        };
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes()) == self.signature
    }

    /// The text that was signed; `None` if it can't have been.
    fn text(&self, parts: &Parts, body: &[u8]) -> Option<String> {
        let names: Vec<_> = self.names.split(';').collect();
        if !names.is_sorted() || !names.contains(&"x-sdk-date") {
            return None;
        }
        let mut request = parts.method.to_string();
        request += "\n";
        request += &path(parts.uri.path());
        request += "\n";
        request += &query(parts.uri.query().unwrap_or_default());
        request += "\n";
        for name in names {
            for value in values(parts, name)? {
                let _ = writeln!(request, "{name}:{}", value.trim());
            }
        }
        let content = match text(&parts.headers, "x-sdk-content-sha256") {
            Some(UNSIGNED) => UNSIGNED.to_owned(),
            Some(_) | None => hex(&Sha256::digest(body)),
        };
        let _ = write!(request, "\n{}\n{content}", self.names);
        let date = text(&parts.headers, "x-sdk-date")?;
        Some(format!("SDK-HMAC-SHA256\n{date}\n{}", hex(&Sha256::digest(request))))
    }
}

/// The values of a header in order; `None` if there is none. HTTP/2 has its host in the target.
fn values<'a>(parts: &'a Parts, name: &str) -> Option<Vec<&'a str>> {
    let values = parts.headers.get_all(name).iter();
    let mut values: Vec<_> =
        values.map(|value| std::str::from_utf8(value.as_bytes())).collect::<Result<_, _>>().ok()?;
    if values.is_empty() && name == "host" {
        values.extend(parts.uri.authority().map(http::uri::Authority::as_str));
    }
    values.sort_unstable();
    (!values.is_empty()).then_some(values)
}

fn path(raw: &str) -> String {
    let decoded = percent_decode_str(raw).decode_utf8_lossy();
    let mut path = String::new();
    for segment in decoded.strip_suffix('/').unwrap_or(&decoded).split('/') {
        path.extend(utf8_percent_encode(segment, UNRESERVED));
        path += "/";
    }
    path
}

fn query(raw: &str) -> String {
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    let mut pairs: Vec<_> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    pairs.sort_unstable();
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query += "&";
        }
        query.extend(utf8_percent_encode(&name, UNRESERVED));
        query += "=";
        query.extend(utf8_percent_encode(&value, UNRESERVED));
    }
    query
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the vendor's signing guide.
    const GUIDE: &str = "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, \
        SignedHeaders=content-type;host;x-sdk-date, \
        Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe";
    const SECRET: &str = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc";
    const TARGET: &str = "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs\
        ?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0";

    fn request(target: &str, host: &str, date: &str) -> Parts {
        let request = http::Request::get(target).header("host", host).header("x-sdk-date", date);
        request.header("content-type", "application/json").body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_signature_is_of_all_that_was_signed() {
        let claim = Claim::parse(GUIDE).unwrap();
        let (host, date) = ("service.region.example.com", "20191115T033655Z");
        assert!(claim.holds(SECRET, &request(TARGET, host, date), b""));
        let other = TARGET.replace("limit=2", "limit=3");
        for (secret, parts, body) in [
            ("other", request(TARGET, host, date), ""),
            (SECRET, request("/v1", host, date), ""),
            (SECRET, request(&other, host, date), ""),
            (SECRET, request(TARGET, "example.com", date), ""),
            (SECRET, request(TARGET, host, "20191115T033656Z"), ""),
            (SECRET, request(TARGET, host, date), "a body"),
        ] {
            assert!(!claim.holds(secret, &parts, body.as_bytes()), "{parts:?} {body}");
        }
    }

    #[test]
    fn paths_and_queries_are_escaped_in_one_way() {
        for (raw, expected) in
            [("/", "/"), ("/a", "/a/"), ("/a//", "/a//"), ("/a%7e%2b+", "/a~%2B%2B/")]
        {
            assert_eq!(path(raw), expected, "{raw}");
        }
        assert_eq!(query("b=2&a=%7e&b=1&c"), "a=~&b=1&b=2&c=");
    }

    #[test]
    fn a_signature_must_be_of_the_date_and_of_headers_that_are_there() {
        let parts = request("/", "example.com", "20191115T033655Z");
        for (names, can_be) in [
            ("host;x-sdk-date", true),
            ("x-sdk-date", true),
            ("host", false),
            ("x-sdk-date;host", false),
            ("x-project-id;x-sdk-date", false),
        ] {
            let claim = Claim { access_key: "a", names, signature: "" };
            assert_eq!(claim.text(&parts, b"").is_some(), can_be, "{names}");
        }
    }

    #[test]
    fn only_the_present_dialect_is_read() {
        assert!(Claim::parse(GUIDE).is_some());
        for text in [
            "",
            "Bearer t",
            "V11-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=00",
            "SDK-HMAC-SHA256 Credential=a/20191115///sdk_request, SignedHeaders=host, Signature=00",
            "SDK-HMAC-SHA256 Access=a, SignedHeaders=host",
        ] {
            assert_eq!(Claim::parse(text), None, "{text}");
        }
    }
}
