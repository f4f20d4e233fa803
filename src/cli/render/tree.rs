//! A job as a tree: a line that tells how it stands, what is known of it, then its sub jobs.

use std::fmt;

use anstyle::Style;
use jiff::Timestamp;
use jobgate::proto::v1::{Job, JobStatus};

use super::{
    text::{BAD, FAINT, GOOD, ODD, Plain, UNDER_WAY},
    time::{Span, span, timestamp},
};

/// The width of the longest label, `fail_reason`.
const LABEL_WIDTH: usize = 11;

struct Tree<'a> {
    job: &'a Job,
    now: Timestamp,
}

/// What stands left of a job's lines.
#[derive(Clone, Copy)]
struct Margin<'a> {
    first: &'a str,
    others: &'a str,
}

/// Renders a job. `now` is the time up to which a job under way is said to have taken.
pub(crate) fn tree(job: &Job, now: Timestamp) -> String {
    let mut text = Tree { job, now }.to_string();
    // The line end of the last row; texts go without.
    text.pop();
    text
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let margin = Margin { first: "", others: "" };
        branch(f, self.job, self.now, margin)
    }
}

fn branch(
    f: &mut fmt::Formatter<'_>,
    job: &Job,
    now: Timestamp,
    margin: Margin<'_>,
) -> fmt::Result {
    if !margin.first.is_empty() {
        write!(f, "{FAINT}{}{FAINT:#}", margin.first)?;
    }
    title(f, job, now)?;

    let trunk = if job.sub_jobs.is_empty() { "   " } else { "│  " };
    rows(f, job, &format!("{}{trunk}", margin.others))?;

    for (index, sub_job) in job.sub_jobs.iter().enumerate() {
        let (corner, below) =
            if index + 1 == job.sub_jobs.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let margin = Margin {
            first: &format!("{}{corner}", margin.others),
            others: &format!("{}{below}", margin.others),
        };
        branch(f, sub_job, now, margin)?;
    }
    Ok(())
}

fn title(f: &mut fmt::Formatter<'_>, job: &Job, now: Timestamp) -> fmt::Result {
    let (style, word) = match job.status() {
        JobStatus::Success => (GOOD, "SUCCESS"),
        JobStatus::Fail => (BAD, "FAIL"),
        JobStatus::Running => (UNDER_WAY, "RUNNING"),
        JobStatus::Init => (UNDER_WAY, "INIT"),
        JobStatus::Unspecified => (ODD, job.status_text.as_str()),
    };
    if word.is_empty() {
        write!(f, "{ODD}(no status){ODD:#}")?;
    } else {
        write!(f, "{style}{}{style:#}", Plain(word))?;
        if job.status() == JobStatus::Unspecified {
            write!(f, " {FAINT}(unknown status){FAINT:#}")?;
        }
    }
    if !job.job_type.is_empty() {
        write!(f, "  {}", Plain(&job.job_type))?;
    }
    match span(job, now) {
        Some(Span::Over(length)) => write!(f, "  {length:#}")?,
        Some(Span::SoFar(length)) => write!(f, "  {length:#} so far")?,
        None => {}
    }
    writeln!(f)
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
    entities(f, job, margin)?;
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
