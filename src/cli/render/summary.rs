//! A job on one line, for logs and pipes.

use std::fmt::Write as _;

use jobgate::proto::v1::{Job, JobStatus};

use super::text::Plain;

/// Renders how a job stands: its status, its type, how many of its sub jobs have ended, what is
/// under way, and what went wrong.
pub(crate) fn summary(job: &Job) -> String {
    let mut text = match job.status() {
        JobStatus::Unspecified if job.status_text.is_empty() => "(no status)".to_owned(),
        JobStatus::Unspecified => Plain(&job.status_text).to_string(),
        known => known.as_str_name().trim_start_matches("JOB_STATUS_").to_owned(),
    };
    // Writing to a String can't fail.
    if !job.job_type.is_empty() {
        let _ = write!(text, "  {}", Plain(&job.job_type));
    }
    let mut below = Below::default();
    job.sub_jobs.iter().for_each(|sub_job| below.count(sub_job));
    if below.all > 0 {
        let _ = write!(text, "  {} of {} sub jobs ended", below.ended, below.all);
    }
    if !below.running.is_empty() {
        let _ = write!(text, ", under way: {}", below.running.join(", "));
    }
    for wrong in [&job.error_code, &job.fail_reason].into_iter().flatten() {
        let _ = write!(text, "  {}", Plain(wrong));
    }
    text
}

#[derive(Default)]
struct Below {
    all: usize,
    ended: usize,
    running: Vec<String>,
}

impl Below {
    fn count(&mut self, job: &Job) {
        self.all += 1;
        match job.status() {
            JobStatus::Success | JobStatus::Fail => self.ended += 1,
            JobStatus::Running if !job.job_type.is_empty() => {
                self.running.push(Plain(&job.job_type).to_string());
            }
            JobStatus::Unspecified | JobStatus::Init | JobStatus::Running => {}
        }
        job.sub_jobs.iter().for_each(|sub_job| self.count(sub_job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: JobStatus, job_type: &str, sub_jobs: Vec<Job>) -> Job {
        Job { status: status as i32, job_type: job_type.to_owned(), sub_jobs, ..Job::default() }
    }

    #[test]
    fn table() {
        let steps = vec![
            job(JobStatus::Success, "snapshot", vec![]),
            job(JobStatus::Running, "copy", vec![job(JobStatus::Init, "part", vec![])]),
        ];
        let failed = Job {
            error_code: Some("VolumeBackup.0064".to_owned()),
            fail_reason: Some("no\nroom".to_owned()),
            ..job(JobStatus::Fail, "", vec![])
        };
        let odd = Job { status_text: "PENDING".to_owned(), ..Job::default() };
        for (job, expected) in [
            (
                job(JobStatus::Running, "backup", steps),
                "RUNNING  backup  1 of 3 sub jobs ended, under way: copy",
            ),
            (failed, "FAIL  VolumeBackup.0064  no\\nroom"),
            (odd, "PENDING"),
            (Job::default(), "(no status)"),
        ] {
            assert_eq!(summary(&job), expected);
        }
    }
}
