//! What is asked for and what comes back: the same for the upstream, the floor and the generator.
//!
//! A project says what all its jobs are like: its id is the number of their sub jobs, as 32
//! hexadecimal digits. So every call can ask for a job of its own, and all cost the same.

use std::fmt::Write as _;

/// In place of an IAM token; as long as one of Keystone's usual ones.
pub const TOKEN: &str = "gAAAAABbench0token0of0the0usual0length000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000";

/// The project that knows no job.
const MISSING: &str = "ffffffffffffffffffffffffffffffff";

pub const NOT_FOUND: &str = r#"{"error":{"code":"common.0011","message":"query job fail"}}"#;

const HEAD: &str = concat!(
    r#"{"status":"SUCCESS","entities":{"bks_create_volume_name":"autobk_volume","#,
    r#""backup_id":"ba5401a2-7cd2-4c01-8c0d-c936ab412d6d","#,
    r#""volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc","#,
    r#""snapshot_id":"a77a96bf-dd18-40bf-a446-fdcefc1719ec"},"job_id":""#
);
const TAIL: &str = concat!(
    r#"","job_type":"bksCreateBackup","begin_time":"2016-01-28T16:14:09.466Z","#,
    r#""end_time":"2016-01-28T16:25:27.690Z","error_code":null,"fail_reason":null"#
);

/// What the jobs of a project are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    Job { sub_jobs: u32 },
    Missing,
}

/// The JSON of a job, but for its id.
#[derive(Clone)]
pub struct Body {
    tail: String,
}

/// Ids that no other call has, in this run or another.
pub struct Ids {
    run: u64,
    next: u64,
}

/// Sub jobs have ids that no call asks for.
pub fn sub_job_id(index: u32) -> String {
    format!("50b{index:029x}")
}

// === impl Payload ===

impl Payload {
    pub fn of_project(id: &str) -> Option<Self> {
        if id == MISSING {
            return Some(Self::Missing);
        }
        let sub_jobs = u32::from_str_radix(id, 16).ok()?;
        Some(Self::Job { sub_jobs })
    }

    pub fn project(self) -> String {
        match self {
            Self::Job { sub_jobs } => format!("{sub_jobs:032x}"),
            Self::Missing => MISSING.to_owned(),
        }
    }
}

// === impl Body ===

impl Body {
    /// The example of the API's page, which has no sub jobs, or the same with some.
    pub fn new(sub_jobs: u32) -> Self {
        let mut tail = TAIL.to_owned();
        for index in 0..sub_jobs {
            tail.push_str(if index == 0 { r#","sub_jobs":["# } else { "," });
            let _ = write!(tail, "{HEAD}{}{TAIL}}}", sub_job_id(index));
        }
        tail.push_str(if sub_jobs == 0 { "}" } else { "]}" });
        Self { tail }
    }

    pub fn of(&self, job_id: &str) -> Vec<u8> {
        [HEAD, job_id, &self.tail].concat().into_bytes()
    }

    /// Whether a body is this one, for that id.
    pub fn is(&self, job_id: &str, body: &[u8]) -> bool {
        let rest = body.strip_prefix(HEAD.as_bytes());
        let rest = rest.and_then(|it| it.strip_prefix(job_id.as_bytes()));
        rest == Some(self.tail.as_bytes())
    }
}

// === impl Ids ===

impl Ids {
    pub fn new() -> Self {
        Self { run: fastrand::u64(..), next: 0 }
    }

    /// 32 hexadecimal digits.
    pub fn next(&mut self) -> String {
        self.next += 1;
        format!("{:016x}{:016x}", self.run, self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_says_what_its_jobs_are_like() {
        for payload in
            [Payload::Job { sub_jobs: 0 }, Payload::Job { sub_jobs: 1000 }, Payload::Missing]
        {
            let project = payload.project();
            assert_eq!(project.len(), 32);
            assert_eq!(Payload::of_project(&project), Some(payload));
        }
        assert_eq!(Payload::of_project("p"), None);
    }

    #[test]
    fn a_body_has_its_id_and_sub_jobs() {
        let body = Body::new(3);
        let text = body.of("asked");
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["job_id"], "asked");
        assert_eq!(json["sub_jobs"].as_array().unwrap().len(), 3);
        assert_eq!(json["sub_jobs"][2]["job_id"], sub_job_id(2));
        assert!(body.is("asked", &text));
        assert!(!body.is("another", &text));
        assert!(!Body::new(2).is("asked", &text));
    }

    #[test]
    fn the_example_has_no_sub_jobs() {
        let json: serde_json::Value = serde_json::from_slice(&Body::new(0).of("asked")).unwrap();
        assert_eq!(json.get("sub_jobs"), None);
        assert_eq!(json["status"], "SUCCESS");
    }

    #[test]
    fn no_two_calls_have_the_same_id() {
        let (mut one, mut other) = (Ids::new(), Ids::new());
        let ids = [one.next(), one.next(), other.next(), other.next()];
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        assert!(ids.iter().all(|it| it.len() == 32));
    }
}
