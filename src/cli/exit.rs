//! The exit codes.

use std::process::ExitCode;

use jobgate::proto::v1::JobStatus;

use super::failure::Failure;

/// How the program ends. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// All is well; of a job: SUCCESS.
    Success = 0,
    /// Something went wrong.
    Error = 1,
    /// The command line is wrong. clap ends with the same code.
    Usage = 2,
    /// The job has the status FAIL.
    JobFailed = 3,
    /// The job has not ended, or its status is unknown.
    JobNotEnded = 4,
}

/// The part of a help text that explains the codes of a command that looks at a job.
pub(super) const JOB_CODES: &str = "Exit codes:\n  0  the job has the status SUCCESS\n  1  an \
error: the job's state could not be learned\n  2  the command line is wrong\n  3  the job has the \
status FAIL\n  4  the job has not ended, or its status is unknown";

// === impl Exit ===

impl Exit {
    pub(super) fn of_job(status: JobStatus) -> Self {
        match status {
            JobStatus::Success => Self::Success,
            JobStatus::Fail => Self::JobFailed,
            JobStatus::Unspecified | JobStatus::Init | JobStatus::Running => Self::JobNotEnded,
        }
    }
}

impl From<&Failure> for Exit {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Usage(_) => Self::Usage,
            Failure::Bind(_)
            | Failure::Call(_)
            | Failure::Demo(_)
            | Failure::Output(_)
            | Failure::Runtime(_)
            | Failure::Script(_)
            | Failure::Simulator(_)
            | Failure::Unreachable { .. } => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
