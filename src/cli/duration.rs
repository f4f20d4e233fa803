//! Durations on the command line: `250ms`, `30s`, `1h 30m`.

use std::{str::FromStr, time::Duration};

use jiff::fmt::friendly::SpanParser;

/// The longest duration taken. Far beyond any use, and far from where clocks overflow.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Why a text is no duration for us.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("not a duration such as 250ms, 30s or 5m")]
    Unreadable,
    #[error("must be more than nothing")]
    NotPositive,
    #[error("must be a year at most")]
    TooLong,
}

/// A duration, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrOff(pub(crate) Option<Duration>);

/// A value parser for clap: a positive duration with units from nanoseconds to hours.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let signed = SpanParser::new().parse_duration(text).map_err(|_| DurationError::Unreadable)?;
    if !signed.is_positive() {
        return Err(DurationError::NotPositive);
    }
    Duration::try_from(signed)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or(DurationError::TooLong)
}

// === impl OrOff ===

impl FromStr for OrOff {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self(None)) } else { parse(text).map(Some).map(Self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let cases = [
            ("1ns", Ok(Duration::from_nanos(1))),
            ("250ms", Ok(Duration::from_millis(250))),
            ("1.5s", Ok(Duration::from_millis(1500))),
            ("30s", Ok(Duration::from_secs(30))),
            ("30 seconds", Ok(Duration::from_secs(30))),
            ("5m", Ok(Duration::from_mins(5))),
            ("1h30m", Ok(Duration::from_mins(90))),
            ("1h 30m", Ok(Duration::from_mins(90))),
            ("8760h", Ok(LONGEST)),
            ("8760h 1ns", Err(DurationError::TooLong)),
            ("9999999999999h", Err(DurationError::TooLong)),
            ("0s", Err(DurationError::NotPositive)),
            ("-5s", Err(DurationError::NotPositive)),
            ("5s ago", Err(DurationError::NotPositive)),
            ("", Err(DurationError::Unreadable)),
            ("30", Err(DurationError::Unreadable)),
            ("s", Err(DurationError::Unreadable)),
            ("5 parsecs", Err(DurationError::Unreadable)),
            ("1mo", Err(DurationError::Unreadable)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn some_may_be_off() {
        for (text, expected) in [
            ("off", Ok(OrOff(None))),
            ("5s", Ok(OrOff(Some(Duration::from_secs(5))))),
            ("0s", Err(DurationError::NotPositive)),
            ("none", Err(DurationError::Unreadable)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
