//! The exit codes of the program, all of them.

use std::{fmt::Write as _, process::ExitCode};

use jobgate::proto::v1::{Job, JobStatus};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All went well; of a job: SUCCESS.
    Success = 0,
    /// What was asked could not be done or learned.
    Error = 1,
    /// The command line is wrong. clap ends with the same number.
    Usage = 2,
    /// The job has ended as FAIL.
    JobFailed = 3,
    /// The job has not ended, or nobody here knows its status.
    JobNotEnded = 4,
}

impl Exit {
    const ALL: [Self; 5] =
        [Self::Success, Self::Error, Self::Usage, Self::JobFailed, Self::JobNotEnded];

    /// The code that tells the state of a job.
    pub(crate) fn of(job: &Job) -> Self {
        match job.status() {
            JobStatus::Success => Self::Success,
            JobStatus::Fail => Self::JobFailed,
            JobStatus::Unspecified | JobStatus::Init | JobStatus::Running => Self::JobNotEnded,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; of a job: SUCCESS",
            Self::Error => "error: the state could not be learned, or is not SERVING",
            Self::Usage => "the command line or the token is wrong, nothing was sent",
            Self::JobFailed => "the job has ended as FAIL",
            Self::JobNotEnded => "the job has not ended yet, or its status is unknown",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table of codes for `--help`.
pub(crate) fn codes() -> String {
    Exit::ALL.iter().fold(String::from("Exit codes:"), |mut text, &exit| {
        // Writing to a String can't fail.
        let _ = write!(text, "\n  {}  {}", exit as u8, exit.meaning());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_for_every_status() {
        let cases = [
            (JobStatus::Unspecified as i32, 4),
            (JobStatus::Init as i32, 4),
            (JobStatus::Running as i32, 4),
            (JobStatus::Success as i32, 0),
            (JobStatus::Fail as i32, 3),
            (99, 4),
        ];
        for (status, code) in cases {
            let job = Job { status, ..Job::default() };
            assert_eq!(Exit::of(&job) as u8, code, "{status}");
        }
    }

    #[test]
    fn the_table_is_complete() {
        assert_eq!(
            codes(),
            "Exit codes:\n\
            \x20 0  done; of a job: SUCCESS\n\
            \x20 1  error: the state could not be learned, or is not SERVING\n\
            \x20 2  the command line or the token is wrong, nothing was sent\n\
            \x20 3  the job has ended as FAIL\n\
            \x20 4  the job has not ended yet, or its status is unknown"
        );
    }
}
