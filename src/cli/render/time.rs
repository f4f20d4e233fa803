//! Times and durations for people.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jobgate::proto::v1::{Job, JobStatus};

/// 0001-01-01, where protobuf's timestamps begin.
const FIRST_SECOND: i64 = -62_135_596_800;

/// How long a job took, or takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Span {
    Over(SignedDuration),
    SoFar(SignedDuration),
}

/// The time a message gives, unless it is none.
pub(super) fn timestamp(sent: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    let sent = sent?;
    let valid = sent.seconds >= FIRST_SECOND && (0..1_000_000_000).contains(&sent.nanos);
    valid.then(|| Timestamp::new(sent.seconds, sent.nanos).ok()).flatten()
}

/// From the begin to the end, or to now for a job that has not ended. Clocks that contradict each
/// other give nothing.
pub(super) fn span(job: &Job, now: Timestamp) -> Option<Span> {
    let begin = timestamp(job.begin_time.as_ref())?;
    let span = match timestamp(job.end_time.as_ref()) {
        Some(end) => {
            let exact = end.duration_since(begin);
            let millis = exact.subsec_nanos() / 1_000_000 * 1_000_000;
            Span::Over(SignedDuration::new(exact.as_secs(), millis))
        }
        None if matches!(job.status(), JobStatus::Success | JobStatus::Fail) => return None,
        None => Span::SoFar(SignedDuration::from_secs(now.duration_since(begin).as_secs())),
    };
    let (Span::Over(length) | Span::SoFar(length)) = &span;
    (!length.is_negative()).then_some(span)
}

/// A duration in words such as `1m 30s`.
pub(crate) fn spelled(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{}s", duration.as_secs()), |signed| format!("{signed:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    #[test]
    fn timestamps() {
        let cases = [
            (at(0, 0), Some("1970-01-01T00:00:00Z")),
            (at(-1, 500_000_000), Some("1969-12-31T23:59:59.5Z")),
            (at(FIRST_SECOND, 0), Some("0001-01-01T00:00:00Z")),
            (at(FIRST_SECOND - 1, 0), None),
            (at(i64::MAX, 0), None),
            (at(0, -1), None),
            (at(0, 1_000_000_000), None),
        ];
        for (sent, expected) in cases {
            let read = timestamp(Some(&sent)).map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "{sent:?}");
        }
        assert_eq!(timestamp(None), None);
    }

    #[test]
    fn spans() {
        let now = Timestamp::from_second(1000).unwrap();
        let over = |millis| Some(Span::Over(SignedDuration::from_millis(millis)));
        let so_far = |seconds| Some(Span::SoFar(SignedDuration::from_secs(seconds)));
        let (begin, end) = (Some(at(900, 900_000_000)), Some(at(902, 1_999_999)));
        let cases = [
            (JobStatus::Success, begin, end, over(1101)),
            (JobStatus::Success, begin, None, None),
            (JobStatus::Running, begin, None, so_far(99)),
            (JobStatus::Running, Some(at(1002, 0)), None, None),
            (JobStatus::Fail, end, begin, None),
            (JobStatus::Init, None, None, None),
            (JobStatus::Unspecified, begin, None, so_far(99)),
        ];
        for (status, begin_time, end_time, expected) in cases {
            let job = Job { status: status as i32, begin_time, end_time, ..Job::default() };
            assert_eq!(span(&job, now), expected, "{job:?}");
        }
    }
}
