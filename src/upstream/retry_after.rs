//! `Retry-After` ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).

use std::time::Duration;

use jiff::Timestamp;

/// The longest wait that is passed on. A longer one is cut to this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Reads the header's value: seconds or an HTTP date.
///
/// `None` for a date that has passed, for zero seconds, and for anything that is neither.
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    seconds(value).or_else(|| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
        let wait = Duration::try_from(date.duration_since(now)).ok()?;
        (!wait.is_zero()).then_some(wait.min(MAX_RETRY_AFTER))
    })
}

/// Reads whole seconds.
pub(super) fn seconds(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are more than the longest wait, too.
    let seconds = value.parse().unwrap_or(u64::MAX);
    (seconds > 0).then(|| Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        let now = "2016-01-28T16:14:00.5Z".parse().unwrap();
        let secs = Duration::from_secs;
        for (value, expected) in [
            ("1", Some(secs(1))),
            (" 120 ", Some(secs(120))),
            ("3601", Some(secs(3600))),
            ("99999999999999999999999", Some(secs(3600))),
            ("0", None),
            ("-1", None),
            ("1.5", None),
            ("+5", None),
            ("", None),
            ("soon", None),
            ("Thu, 28 Jan 2016 16:14:10 GMT", Some(Duration::from_millis(9500))),
            ("Thu, 28 Jan 2016 20:14:10 GMT", Some(secs(3600))),
            ("Thu, 28 Jan 2016 16:14:00 GMT", None),
            ("Fri, 28 Jan 2016 16:14:10 GMT", None),
            ("Thu, 28 Jan 2016 16:14:10", None),
        ] {
            assert_eq!(parse(value, now), expected, "{value}");
        }
    }
}
