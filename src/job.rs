//! The domain: how a job is named, and what is known of it.
//!
//! Nothing here knows JSON, HTTP or gRPC. Values of these types are already checked.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;

/// The longest project or job id, in bytes.
pub const MAX_ID_LEN: usize = 128;

/// The deepest nesting of a job's sub jobs, in levels below the job itself.
pub const MAX_DEPTH: usize = 32;

/// Which job: a project's id and the id of a job in it.
///
/// Both are 1 to [`MAX_ID_LEN`] characters of `A-Z a-z 0-9 _ -`, so neither can change the
/// meaning of a URL path it is put into.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JobPath {
    project_id: Arc<str>,
    job_id: Arc<str>,
}

/// A field of a request that is no id, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidId {
    /// The request's field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: IdProblem,
}

/// What can be wrong with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdProblem {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// It has a character outside the allowed set.
    #[error("may have only the characters A-Z, a-z, 0-9, underscore and hyphen")]
    ForbiddenCharacter,
    /// It has more than [`MAX_ID_LEN`] characters.
    #[error("must have at most {MAX_ID_LEN} characters")]
    TooLong,
}

/// A job as the upstream sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The id of the job.
    pub job_id: String,
    /// What it does, in the upstream's words.
    pub job_type: String,
    /// Its state.
    pub status: Status,
    /// The upstream's own word for the state.
    pub status_text: String,
    /// What it works on or has made.
    pub entities: BTreeMap<String, String>,
    /// When it began.
    pub begin_time: Option<Timestamp>,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Why it failed, as a code.
    pub error_code: Option<String>,
    /// Why it failed, as text.
    pub fail_reason: Option<String>,
    /// Its steps, at most [`MAX_DEPTH`] levels deep.
    pub sub_jobs: Vec<Job>,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// A word this version does not know, or none.
    #[default]
    Unspecified,
    /// Accepted, not begun.
    Init,
    /// Under way.
    Running,
    /// Ended as wished.
    Success,
    /// Ended in failure.
    Fail,
}

// === impl JobPath ===

impl JobPath {
    /// Checks both ids.
    pub fn parse(project_id: &str, job_id: &str) -> Result<Self, InvalidId> {
        Ok(Self {
            project_id: parse_id("project_id", project_id)?,
            job_id: parse_id("job_id", job_id)?,
        })
    }

    /// The project's id.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The job's id.
    pub fn job_id(&self) -> &str {
        &self.job_id
    }
}

impl fmt::Debug for JobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project_id, self.job_id)
    }
}

fn parse_id(field: &'static str, text: &str) -> Result<Arc<str>, InvalidId> {
    match IdProblem::of(text) {
        Some(problem) => Err(InvalidId { field, problem }),
        None => Ok(text.into()),
    }
}

// === impl IdProblem ===

impl IdProblem {
    /// What is wrong with an id, if anything is.
    pub fn of(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if text.is_empty() {
            Some(Self::Empty)
        } else if !text.bytes().all(allowed) {
            Some(Self::ForbiddenCharacter)
        } else if text.len() > MAX_ID_LEN {
            Some(Self::TooLong)
        } else {
            None
        }
    }
}

// === impl Status ===

impl Status {
    /// Reads the upstream's word, whatever its case.
    pub fn from_text(text: &str) -> Self {
        [
            ("INIT", Self::Init),
            ("RUNNING", Self::Running),
            ("SUCCESS", Self::Success),
            ("FAIL", Self::Fail),
        ]
        .into_iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word))
        .map_or(Self::Unspecified, |(_, status)| status)
    }

    /// Whether a job in this state never changes again.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Success | Self::Fail => true,
            Self::Unspecified | Self::Init | Self::Running => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_an_allow_list() {
        let long = "a".repeat(MAX_ID_LEN);
        let too_long = "a".repeat(MAX_ID_LEN + 1);
        for id in
            ["a", "4010b39b5281d3590152874bfa3b1604", "70a599e0-31e7-49b7-b260", "A_z-0", &long]
        {
            assert!(JobPath::parse("p", id).is_ok(), "{id}");
            assert!(JobPath::parse(id, "j").is_ok(), "{id}");
        }
        let bad = [
            ("", IdProblem::Empty),
            (&too_long, IdProblem::TooLong),
            (".", IdProblem::ForbiddenCharacter),
            ("..", IdProblem::ForbiddenCharacter),
            ("%2e%2e", IdProblem::ForbiddenCharacter),
            ("a/b", IdProblem::ForbiddenCharacter),
            ("a\\b", IdProblem::ForbiddenCharacter),
            ("a?b=c", IdProblem::ForbiddenCharacter),
            ("a#b", IdProblem::ForbiddenCharacter),
            ("a b", IdProblem::ForbiddenCharacter),
            ("a\n", IdProblem::ForbiddenCharacter),
            ("a\0", IdProblem::ForbiddenCharacter),
            ("jöb", IdProblem::ForbiddenCharacter),
            ("ａ", IdProblem::ForbiddenCharacter),
        ];
        for (id, problem) in bad {
            assert_eq!(
                JobPath::parse("p", id),
                Err(InvalidId { field: "job_id", problem }),
                "{id:?}"
            );
            assert_eq!(
                JobPath::parse(id, "j"),
                Err(InvalidId { field: "project_id", problem }),
                "{id:?}"
            );
        }
    }

    #[test]
    fn status_words_have_no_case_and_unknown_ones_are_not_terminal() {
        for (text, status, terminal) in [
            ("INIT", Status::Init, false),
            ("running", Status::Running, false),
            ("Success", Status::Success, true),
            ("FAIL", Status::Fail, true),
            ("failed", Status::Unspecified, false),
            ("PENDING_PAYMENT", Status::Unspecified, false),
            ("", Status::Unspecified, false),
            (" SUCCESS", Status::Unspecified, false),
        ] {
            assert_eq!(Status::from_text(text), status, "{text}");
            assert_eq!(status.is_terminal(), terminal, "{text}");
        }
    }
}
