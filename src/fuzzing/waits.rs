//! `Retry-After` and `grpc-timeout` are read within their bounds.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    grpc::fuzzing::timeout,
    upstream::{MAX_RETRY_AFTER, fuzzing::retry_after},
};

/// The units of `grpc-timeout`, in nanoseconds.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// The value of `Retry-After` or `grpc-timeout`.
pub fn check(input: &[u8]) {
    check_timeout(input);
    if let Ok(text) = std::str::from_utf8(input) {
        check_retry_after(text);
    }
}

fn check_timeout(value: &[u8]) {
    let expected = value.split_last().and_then(|(unit, digits)| {
        let (_, nanos) = UNITS.iter().find(|(name, _)| name == unit)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let signed = digits.starts_with('+') || digits.len() > 8;
        digits.parse::<u32>().ok().filter(|_| !signed).map(|amount| u128::from(amount) * nanos)
    });
    assert_eq!(timeout(value).as_ref().map(Duration::as_nanos), expected);
}

fn check_retry_after(text: &str) {
    for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        let Some(wait) = retry_after(text, now) else {
            continue;
        };
        assert!(!wait.is_zero() && wait <= MAX_RETRY_AFTER, "{wait:?}");
        assert_eq!(retry_after(&format!(" {text} "), now), Some(wait));
        let later = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
        assert!(retry_after(text, later).is_none_or(|less| less <= wait));
        if wait.subsec_nanos() == 0 && wait < MAX_RETRY_AFTER {
            assert_eq!(retry_after(&wait.as_secs().to_string(), now), Some(wait));
        }
    }
}
