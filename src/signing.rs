//! AK/SK signatures: `SDK-HMAC-SHA256` in its present dialect, whose key is the secret key itself.
//!
//! Pure: the time is an argument. The rules are those of the vendor's API Request Signing Guide.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// The header that has to carry [`Request::date`].
pub const DATE_HEADER: &str = "x-sdk-date";

/// What is escaped in paths and queries.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request to be signed. It can't be printed: a security token may be among its headers.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As it stands on the request line, without the query.
    pub path: &'a str,
    /// Names and values, not escaped.
    pub query: &'a [(&'a str, &'a str)],
    /// The headers that are signed, [`DATE_HEADER`] apart, which always is. Each name once.
    pub headers: &'a [(&'a str, &'a str)],
    /// From [`date`]. The upstream takes it for 15 minutes.
    pub date: &'a str,
    /// All of it.
    pub body: &'a [u8],
}

/// A time as [`DATE_HEADER`] has it.
pub fn date(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of the header `authorization`. The access key is in it, the secret key is not.
pub fn authorization(access_key: &str, secret_key: &[u8], request: &Request<'_>) -> String {
    let headers = canonical_headers(request);
    let names: Vec<_> = headers.iter().map(|(name, _)| &**name).collect();
    let names = names.join(";");
    let hash = canonical_hash(request, &headers, &names);
    let signature = sign(secret_key, &format!("{ALGORITHM}\n{}\n{hash}", request.date));
    format!("{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}")
}

/// The names in small letters, in order.
fn canonical_headers<'a>(request: &Request<'a>) -> Vec<(String, &'a str)> {
    let date = (DATE_HEADER, request.date);
    let headers = request.headers.iter().chain([&date]);
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim())).collect();
    headers.sort_unstable();
    headers
}

/// The hash of the canonical request, which is never all in memory: it has the security token in
/// it.
fn canonical_hash(request: &Request<'_>, headers: &[(String, &str)], names: &str) -> String {
    let mut hash = Sha256::new();
    let path = canonical_path(request.path);
    let query = canonical_query(request.query);
    for part in [request.method, "\n", &path, "\n", &query, "\n"] {
        hash.update(part);
    }
    for (name, value) in headers {
        for part in [name, ":", value, "\n"] {
            hash.update(part);
        }
    }
    for part in ["\n", names, "\n", &hex(&Sha256::digest(request.body))] {
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// Always ends in a slash, though the path need not. An escaped slash counts as one, as with the
/// vendor's signers.
fn canonical_path(path: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let segments = decoded.split(|byte| *byte == b'/');
    let segments: Vec<_> = segments.map(escape).collect();
    let mut path = segments.join("/");
    if !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// Sorted before anything is escaped.
fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut query = query.to_vec();
    query.sort_unstable();
    let pairs = query.into_iter().map(|(name, value)| {
        let (name, value) = (escape(name.as_bytes()), escape(value.as_bytes()));
        format!("{name}={value}")
    });
    let pairs: Vec<_> = pairs.collect();
    pairs.join("&")
}

fn escape(text: &[u8]) -> String {
    percent_encode(text, RESERVED).to_string()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn sign(secret_key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret_key).expect("a key of any length");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
