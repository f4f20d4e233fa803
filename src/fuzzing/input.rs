//! HTTP messages as texts: a first line, headers, a blank line, the body. So people can read and
//! write the inputs.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::upstream::fuzzing::Answer;

/// Splits a message into its first line, its headers and its body.
///
/// What is no header counts as if it were not there.
pub(super) fn message(bytes: &[u8]) -> Option<(&str, HeaderMap, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    Some((first, lines.filter_map(header).collect(), body))
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// An answer, whose first line is the status, and ` cut` if the body is only a part.
pub(super) fn answer(bytes: &[u8]) -> Option<Answer> {
    let (first, headers, body) = message(bytes)?;
    let (status, cut) = match first.strip_suffix(" cut") {
        Some(status) => (status, true),
        None => (first, false),
    };
    let status = status.parse().ok().filter(|status| (100..=999).contains(status))?;
    // A success without all of its body is never read.
    let whole = !cut || (200..=299).contains(&status);
    Some(Answer { status, headers, body: body.to_vec(), whole })
}
