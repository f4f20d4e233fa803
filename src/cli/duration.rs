//! Durations on the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration such as `250ms`, `30s`, `5m` or `1h 30m`; more than zero, at most a day.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let example = "write a duration like 250ms, 30s or 5m";
    let signed: SignedDuration = text.parse().map_err(|_| example.to_owned())?;
    let duration = Duration::try_from(signed).map_err(|_| example.to_owned())?;
    if duration.is_zero() {
        return Err("must be more than zero".to_owned());
    }
    if duration > Duration::from_hours(24) {
        return Err("must be at most 24h".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_bounds() {
        for (text, expected) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("30s", Some(Duration::from_secs(30))),
            ("5m", Some(Duration::from_mins(5))),
            ("1h 30m", Some(Duration::from_mins(90))),
            ("24h", Some(Duration::from_hours(24))),
            ("25h", None),
            ("0s", None),
            ("-1s", None),
            ("30", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}
