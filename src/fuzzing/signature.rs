//! The simulator takes every signature that the gateway makes, and no other.

use http::{HeaderValue, Request, Uri};
use percent_encoding::percent_decode_str;

use super::input;
use crate::{
    signing::{self, DATE_HEADER},
    simulator::fuzzing::is_signed,
};

const DATE: &str = "20191115T033655Z";

/// A request: `GET /path?query`, headers, a blank line, the body.
pub fn check(input: &[u8]) {
    let Some((first, mut headers, body)) = input::message(input) else {
        return;
    };
    let Some((method, target)) = first.split_once(' ') else {
        return;
    };
    let _ = is_signed(first, "secret", &Request::new(()).into_parts().0, body);
    // This one would say that the body is not signed.
    headers.remove("x-sdk-content-sha256");
    headers.insert(DATE_HEADER, HeaderValue::from_static(DATE));
    let Ok(request) = Request::builder().method(method).uri(target).body(()) else {
        return;
    };
    let (mut parts, ()) = request.into_parts();
    parts.headers = headers;
    if let Some(authorization) = sign(method, &parts.uri, &parts.headers, body) {
        assert!(is_signed(&authorization, "secret", &parts, body), "{parts:?}");
        assert!(!is_signed(&authorization, "secrets", &parts, body));
        assert!(!is_signed(&authorization, "secret", &parts, &[body, b"."].concat()));
        parts.headers.insert(DATE_HEADER, HeaderValue::from_static("20191115T033656Z"));
        assert!(!is_signed(&authorization, "secret", &parts, body));
    }
}

/// Signs a request; `None` if it is none that the gateway could make: with a header twice, or
/// bytes that are no text.
fn sign(method: &str, uri: &Uri, headers: &http::HeaderMap, body: &[u8]) -> Option<String> {
    let text = |value: &str| Some(percent_decode_str(value).decode_utf8().ok()?.into_owned());
    text(uri.path())?;
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query: Option<Vec<_>> =
        pairs.map(|(name, value)| Some((text(name)?, text(value)?))).collect();
    let query = query?;
    let query: Vec<_> = query.iter().map(|(name, value)| (&**name, &**value)).collect();
    let headers: Option<Vec<_>> = headers
        .keys()
        .map(|name| {
            let mut values = headers.get_all(name).iter();
            let value = std::str::from_utf8(values.next()?.as_bytes()).ok()?;
            values.next().is_none().then_some((name.as_str(), value))
        })
        .collect();
    let headers: Vec<_> = headers?.into_iter().filter(|(name, _)| *name != DATE_HEADER).collect();
    let path = uri.path();
    let request =
        signing::Request { method, path, query: &query, headers: &headers, date: DATE, body };
    Some(signing::authorization("key", b"secret", &request))
}
