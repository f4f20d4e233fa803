//! Bars for how long the jobs of a tree took, all on one scale.

use jiff::Timestamp;
use jobgate::proto::v1::Job;

use super::time::{Span, span, timestamp};

/// The cells of the whole scale.
const CELLS: usize = 24;

/// The scale from the first begin in a tree to its last end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chart {
    begin: Timestamp,
    end: Timestamp,
    now: Timestamp,
}

impl Chart {
    /// The scale of a tree; `None` if there are not two jobs in it to compare.
    pub(super) fn of(job: &Job, now: Timestamp) -> Option<Self> {
        let mut spans = Vec::new();
        collect(job, now, &mut spans);
        let begin = spans.iter().map(|(begin, _)| *begin).min()?;
        let end = spans.iter().map(|(_, end)| *end).max()?;
        (spans.len() > 1 && begin < end).then_some(Self { begin, end, now })
    }

    /// The bar of a job, as wide as the scale.
    pub(super) fn bar(&self, job: &Job) -> String {
        let Some((begin, end)) = bounds(job, self.now) else {
            return " ".repeat(CELLS);
        };
        let first = self.cell(begin).min(CELLS - 1);
        let len = (self.cell(end) - first.min(self.cell(end))).max(1);
        format!("{}{}{}", " ".repeat(first), "━".repeat(len), " ".repeat(CELLS - first - len))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the number of cells"
    )]
    fn cell(&self, at: Timestamp) -> usize {
        let whole = self.end.duration_since(self.begin).as_secs_f64();
        let part = at.duration_since(self.begin).as_secs_f64();
        (part / whole * CELLS as f64).round().clamp(0.0, CELLS as f64) as usize
    }
}

fn collect(job: &Job, now: Timestamp, spans: &mut Vec<(Timestamp, Timestamp)>) {
    spans.extend(bounds(job, now));
    for sub_job in &job.sub_jobs {
        collect(sub_job, now, spans);
    }
}

/// From when to when a job ran.
fn bounds(job: &Job, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let begin = timestamp(job.begin_time.as_ref())?;
    let end = match span(job, now)? {
        Span::Over(_) => timestamp(job.end_time.as_ref())?,
        Span::SoFar(_) => now,
    };
    Some((begin, end))
}

#[cfg(test)]
mod tests {
    use jobgate::proto::v1::JobStatus;

    use super::*;

    fn job(begin: i64, end: Option<i64>) -> Job {
        let at = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        let (begin_time, end_time) = (Some(at(begin)), end.map(at));
        Job { status: JobStatus::Running as i32, begin_time, end_time, ..Job::default() }
    }

    #[test]
    fn bars_stand_where_their_time_is() {
        let sub_jobs = vec![job(0, Some(60)), job(60, None), job(120, Some(120)), Job::default()];
        let all = Job { sub_jobs, ..job(0, None) };
        let chart = Chart::of(&all, Timestamp::from_second(120).unwrap()).unwrap();
        let bars: Vec<_> = [&all].into_iter().chain(&all.sub_jobs).map(|j| chart.bar(j)).collect();
        assert_eq!(
            bars,
            [
                "━━━━━━━━━━━━━━━━━━━━━━━━",
                "━━━━━━━━━━━━            ",
                "            ━━━━━━━━━━━━",
                "                       ━",
                "                        ",
            ]
        );
    }

    #[test]
    fn one_job_alone_has_no_scale() {
        let now = Timestamp::from_second(120).unwrap();
        assert!(Chart::of(&job(0, None), now).is_none());
        assert!(Chart::of(&Job::default(), now).is_none());
    }
}
