//! A job and its sub jobs as a tree.

use std::fmt::Write as _;

use jiff::Timestamp;
use jobgate::proto::v1::{Job, JobStatus};

use super::{length, time};
use crate::cli::print::{BOLD, DIM, GREEN, RED, RESET, YELLOW, plain};

/// A job for people; several lines, each with its end.
pub(in crate::cli) fn tree(job: &Job, now: Timestamp) -> String {
    let mut text = String::new();
    node(&mut text, job, now, "", "");
    text
}

/// Writes a job whose first line begins with `first` and all others with `rest`.
fn node(text: &mut String, job: &Job, now: Timestamp, first: &str, rest: &str) {
    line(text, first, &headline(job, now));
    let branch = if job.sub_jobs.is_empty() { " " } else { "│" };
    let mut field = |name: &str, value: &str| {
        line(
            text,
            rest,
            &format!("{DIM}{branch}{RESET} {DIM}{name}{RESET} {}", plain(value)),
        );
    };
    let times = [("begin", &job.begin_time), ("end", &job.end_time)];
    for (name, value) in times {
        if let Some(value) = value.as_ref().and_then(time) {
            field(name, &format!("{value:.3}"));
        }
    }
    let width = job
        .entities
        .keys()
        .map(|key| plain(key).chars().count())
        .max()
        .unwrap_or(0);
    for (key, value) in &job.entities {
        field(&format!("{:width$}", plain(key)), value);
    }
    for (name, value) in [
        ("error code", &job.error_code),
        ("fail reason", &job.fail_reason),
    ] {
        if let Some(value) = value {
            line(
                text,
                rest,
                &format!("{DIM}{branch}{RESET} {RED}{name}: {}{RESET}", plain(value)),
            );
        }
    }
    for (index, sub) in job.sub_jobs.iter().enumerate() {
        let last = index + 1 == job.sub_jobs.len();
        let (knot, below) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        node(
            text,
            sub,
            now,
            &format!("{rest}{knot}"),
            &format!("{rest}{below}"),
        );
    }
}

fn line(text: &mut String, prefix: &str, content: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{prefix}{content}");
}

fn headline(job: &Job, now: Timestamp) -> String {
    let (mark, color) = match job.status() {
        JobStatus::Unspecified => ("?", YELLOW),
        JobStatus::Init => ("○", DIM),
        JobStatus::Running => ("●", YELLOW),
        JobStatus::Success => ("✓", GREEN),
        JobStatus::Fail => ("✗", RED),
    };
    let word = if job.status_text.is_empty() {
        "no status"
    } else {
        &job.status_text
    };
    let kind = if job.job_type.is_empty() {
        "job"
    } else {
        &job.job_type
    };
    let begin = job.begin_time.as_ref().and_then(time);
    let end = job.end_time.as_ref().and_then(time);
    let duration = begin.map_or(String::new(), |begin| {
        let passed = length(end.unwrap_or(now).duration_since(begin));
        format!("  {passed}{}", if end.is_none() { " so far" } else { "" })
    });
    format!(
        "{color}{mark} {}{RESET} {BOLD}{}{RESET} {DIM}{}{RESET}{duration}",
        plain(word),
        plain(kind),
        plain(&job.job_id),
    )
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp as Time;

    use super::*;

    fn without_color(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn at(seconds: i64) -> Option<Time> {
        Some(Time {
            seconds,
            nanos: 466_000_000,
        })
    }

    #[test]
    fn a_job_with_sub_jobs_is_a_tree() {
        let sub = |id: &str, status: JobStatus, text: &str| Job {
            job_id: id.into(),
            job_type: "bksStep".into(),
            status: status.into(),
            status_text: text.into(),
            ..Job::default()
        };
        let job = Job {
            begin_time: Some(at(1_453_997_649)),
            entities: [("backup_id", "b"), ("id", "i")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
            sub_jobs: vec![
                Job {
                    begin_time: Some(at(0)),
                    end_time: Some(at(678)),
                    sub_jobs: vec![sub("s2", JobStatus::Init, "INIT")],
                    ..sub("s1", JobStatus::Success, "SUCCESS")
                },
                Job {
                    error_code: Some("VolumeBackup.0064".into()),
                    ..sub("s3", JobStatus::Fail, "FAIL")
                },
            ],
            ..sub("j1", JobStatus::Running, "RUNNING")
        };
        let now = Timestamp::new(1_453_997_653, 666_000_000).unwrap();
        assert_eq!(
            without_color(&tree(&job, now)),
            "\
● RUNNING bksStep j1  4.2s so far
│ begin 2016-01-28T16:14:09.466Z
│ backup_id b
│ id        i
├─ ✓ SUCCESS bksStep s1  11m 18s
│  │ begin 1970-01-01T00:00:00.466Z
│  │ end 1970-01-01T00:11:18.466Z
│  └─ ○ INIT bksStep s2
└─ ✗ FAIL bksStep s3
     error code: VolumeBackup.0064
"
        );
    }

    #[test]
    fn text_of_the_upstream_cannot_steer_the_terminal() {
        let job = Job {
            status_text: "\x1b[2J".into(),
            entities: [("k\x1b]0;x\x07".to_owned(), "v\n● SUCCESS".to_owned())].into(),
            fail_reason: Some("\r".into()),
            ..Job::default()
        };
        let text = without_color(&tree(&job, Timestamp::UNIX_EPOCH));
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains(['\x1b', '\x07', '\r']));
    }
}
