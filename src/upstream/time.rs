//! The times in the upstream's answers.

use std::borrow::Cow;

use jiff::{Timestamp, civil, tz::Offset};

/// Reads a time leniently: RFC 3339 with any offset, a blank for the `T`, any number of digits of
/// a second (nine are kept), and UTC where no offset is written.
///
/// `None` if it can't be read, or is outside the years 1 to 9999 that a protobuf timestamp can
/// say.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = nine_digits(text.trim());
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<civil::DateTime>().ok()?;
        Offset::UTC.to_timestamp(local).ok()
    })?;
    (1..=9999).contains(&Offset::UTC.to_datetime(time).year()).then_some(time)
}

/// Drops the digits of a fraction after the ninth.
fn nine_digits(text: &str) -> Cow<'_, str> {
    if text.len() < "2016-01-02T15:04:05.0123456789".len() {
        return Cow::Borrowed(text);
    }
    let mut digits = None;
    let kept = text
        .chars()
        .filter(|char| {
            digits = match (digits, char) {
                (None, '.' | ',') => Some(0),
                (Some(count), '0'..='9') => Some(count + 1),
                (Some(_), _) => Some(i32::MIN),
                (None, _) => None,
            };
            digits.is_none_or(|count| count <= 9)
        })
        .collect();
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_seen_around_the_api_is_read() {
        for (text, expected) in [
            ("2016-01-28T16:14:09.466Z", Some("2016-01-28T16:14:09.466Z")),
            ("2016-12-03T06:24:34.467", Some("2016-12-03T06:24:34.467Z")),
            ("2013-06-27T08:48:03.000000", Some("2013-06-27T08:48:03Z")),
            ("2015-11-09T01:42:57.527363Z", Some("2015-11-09T01:42:57.527363Z")),
            ("2016-01-02 15:04:05", Some("2016-01-02T15:04:05Z")),
            ("2016-01-02 15:04:05Z", Some("2016-01-02T15:04:05Z")),
            ("2016-01-02T15:04:05+08:00", Some("2016-01-02T07:04:05Z")),
            ("2016-01-02T15:04:05-00:30", Some("2016-01-02T15:34:05Z")),
            ("2016-01-02t15:04:05z", Some("2016-01-02T15:04:05Z")),
            ("2016-01-02T15:04:05.1234567891234Z", Some("2016-01-02T15:04:05.123456789Z")),
            ("2016-01-02T15:04:05.99999999999+01:00", Some("2016-01-02T14:04:05.999999999Z")),
            (" 2016-01-02T15:04:05Z ", Some("2016-01-02T15:04:05Z")),
            ("", None),
            ("2016-01-15T01:0807.476Z", None),
            ("04-Jun-2015 18:11:06:586", None),
            ("1453997649466", None),
            ("2016-02-30T00:00:00Z", None),
            ("0000-12-31T00:00:00Z", None),
            ("-000001-01-01T00:00:00Z", None),
            ("9999-12-31T23:59:59-23:00", None),
            ("yesterday", None),
        ] {
            assert_eq!(parse(text).map(|time| time.to_string()).as_deref(), expected, "{text}");
        }
    }
}
