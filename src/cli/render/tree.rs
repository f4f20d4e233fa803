//! A job as a tree: a line that tells how it stands, what is known of it, then its sub jobs.

use std::fmt;

use anstyle::Style;
use jiff::Timestamp;
use jobgate::proto::v1::{Job, JobStatus};

use super::{
    chart::Chart,
    text::{BAD, FAINT, GOOD, ODD, Plain, UNDER_WAY},
    time::{Span, span, timestamp},
};

/// The width of the longest label, `fail_reason`.
const LABEL_WIDTH: usize = 11;

struct Tree<'a> {
    job: &'a Job,
    now: Timestamp,
    /// Whether all is shown, or only how the jobs stand.
    whole: bool,
    /// The bars, and the column they stand in.
    chart: Option<(Chart, usize)>,
}

/// What stands left of a job's lines.
#[derive(Clone, Copy)]
struct Margin<'a> {
    first: &'a str,
    others: &'a str,
}

/// Renders a job with all that is known of it. `now` is the time up to which a job under way is
/// said to have taken.
pub(crate) fn tree(job: &Job, now: Timestamp) -> String {
    Tree::new(job, now, true).render()
}

/// Renders a line for each job, and what went wrong.
pub(crate) fn sketch(job: &Job, now: Timestamp) -> String {
    Tree::new(job, now, false).render()
}

impl<'a> Tree<'a> {
    fn new(job: &'a Job, now: Timestamp, whole: bool) -> Self {
        let chart = Chart::of(job, now).map(|chart| (chart, widest(job, 0)));
        Self { job, now, whole, chart }
    }

    fn render(&self) -> String {
        let mut text = self.to_string();
        // The line end of the last row; texts go without.
        text.pop();
        text
    }

    fn branch(&self, f: &mut fmt::Formatter<'_>, job: &Job, margin: Margin<'_>) -> fmt::Result {
        if !margin.first.is_empty() {
            write!(f, "{FAINT}{}{FAINT:#}", margin.first)?;
        }
        self.title(f, job, margin.first.chars().count())?;
        let trunk = if job.sub_jobs.is_empty() { "   " } else { "│  " };
        let below = format!("{}{trunk}", margin.others);
        if self.whole {
            rows(f, job, &below)?;
        }
        errors(f, job, &below)?;
        for (index, sub_job) in job.sub_jobs.iter().enumerate() {
            let (corner, below) = if index + 1 == job.sub_jobs.len() {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let margin = Margin {
                first: &format!("{}{corner}", margin.others),
                others: &format!("{}{below}", margin.others),
            };
            self.branch(f, sub_job, margin)?;
        }
        Ok(())
    }

    fn title(&self, f: &mut fmt::Formatter<'_>, job: &Job, indent: usize) -> fmt::Result {
        let head = Head::of(job);
        let Head { style, word, note, job_type } = &head;
        write!(f, "{style}{word}{style:#}{FAINT}{note}{FAINT:#}{job_type}")?;
        let span = span(job, self.now);
        if let Some((chart, column)) = &self.chart
            && span.is_some()
        {
            let gap = column - indent - head.width();
            write!(f, "{:gap$}  {style}{}{style:#}", "", chart.bar(job))?;
        }
        match span {
            Some(Span::Over(length)) => write!(f, "  {length:#}")?,
            Some(Span::SoFar(length)) => write!(f, "  {length:#} so far")?,
            None => {}
        }
        writeln!(f)
    }
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.branch(f, self.job, Margin { first: "", others: "" })
    }
}

/// What a job's line begins with.
struct Head {
    style: Style,
    word: String,
    note: &'static str,
    job_type: String,
}

impl Head {
    fn of(job: &Job) -> Self {
        let (style, word, note) = match job.status() {
            JobStatus::Success => (GOOD, "SUCCESS", ""),
            JobStatus::Fail => (BAD, "FAIL", ""),
            JobStatus::Running => (UNDER_WAY, "RUNNING", ""),
            JobStatus::Init => (UNDER_WAY, "INIT", ""),
            JobStatus::Unspecified if job.status_text.is_empty() => (ODD, "(no status)", ""),
            JobStatus::Unspecified => (ODD, job.status_text.as_str(), " (unknown status)"),
        };
        let word = Plain(word).to_string();
        let job_type = match job.job_type.as_str() {
            "" => String::new(),
            some => format!("  {}", Plain(some)),
        };
        Self { style, word, note, job_type }
    }

    fn width(&self) -> usize {
        [&self.word, self.note, &self.job_type].into_iter().map(|it| it.chars().count()).sum()
    }
}

/// The width of the longest beginning of a line in a tree.
fn widest(job: &Job, indent: usize) -> usize {
    let below = job.sub_jobs.iter().map(|sub_job| widest(sub_job, indent + 3));
    below.fold(indent + Head::of(job).width(), usize::max)
}

fn rows(f: &mut fmt::Formatter<'_>, job: &Job, margin: &str) -> fmt::Result {
    let plain = Style::new();
    if !job.job_id.is_empty() {
        row(f, margin, "id", plain, Plain(&job.job_id))?;
    }
    if let Some(begin) = timestamp(job.begin_time.as_ref()) {
        row(f, margin, "begin", plain, format_args!("{begin:.3}"))?;
    }
    if let Some(end) = timestamp(job.end_time.as_ref()) {
        row(f, margin, "end", plain, format_args!("{end:.3}"))?;
    }
    entities(f, job, margin)
}

fn errors(f: &mut fmt::Formatter<'_>, job: &Job, margin: &str) -> fmt::Result {
    if let Some(code) = &job.error_code {
        row(f, margin, "error_code", BAD, Plain(code))?;
    }
    if let Some(reason) = &job.fail_reason {
        row(f, margin, "fail_reason", BAD, Plain(reason))?;
    }
    Ok(())
}

fn entities(f: &mut fmt::Formatter<'_>, job: &Job, margin: &str) -> fmt::Result {
    let entities: Vec<_> =
        job.entities.iter().map(|(name, value)| (Plain(name).to_string(), value)).collect();
    let width = entities.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (index, (name, value)) in entities.iter().enumerate() {
        let label = if index == 0 { "entities" } else { "" };
        let shown = if value.is_empty() { "(empty)" } else { value };
        let style = if value.is_empty() { FAINT } else { Style::new() };
        let shown = format_args!("{name:width$}  {style}{}{style:#}", Plain(shown));
        row(f, margin, label, Style::new(), shown)?;
    }
    Ok(())
}

fn row(
    f: &mut fmt::Formatter<'_>,
    margin: &str,
    label: &str,
    style: Style,
    value: impl fmt::Display,
) -> fmt::Result {
    writeln!(f, "{FAINT}{margin}{label:LABEL_WIDTH$}{FAINT:#}  {style}{value}{style:#}")
}

#[cfg(test)]
mod tests;
