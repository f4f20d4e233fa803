//! A script is played, or it is said what is wrong with it; and what the simulator plays, the
//! gateway understands.

use std::time::Duration;

use http::HeaderMap;

use crate::{
    job::JobPath,
    simulator::{Script, fuzzing as simulator},
    upstream::fuzzing::{Answer, read},
};

/// Since the script began.
const TIMES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::MAX];

/// A script of the simulator.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let script = match Script::parse("my.toml", text) {
        Ok(script) => script,
        Err(error) => {
            assert!(error.to_string().starts_with("my.toml: "), "{error}");
            return;
        }
    };
    assert!(simulator::faults(&script).iter().all(|status| (200..=599).contains(status)));
    for (id, job) in TIMES.iter().flat_map(|time| simulator::play(&script, *time)) {
        let body = job.to_string().into_bytes();
        let answer = Answer { status: 200, headers: HeaderMap::new(), body, whole: true };
        let Ok(path) = JobPath::parse("p", "asked") else {
            return;
        };
        // Only the depth of a job can be too much.
        let read = read(&answer, &path, &[]);
        assert!(read.is_ok_and(|read| read.job_id == id) || text.len() > 300, "{job}");
    }
}
