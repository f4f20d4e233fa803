//! What a job looks like at a time since it began. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::script::{Blank, Life, Place};

/// A job that has begun.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) life: Life,
    /// The wall clock's time when it began.
    pub(super) begun: Timestamp,
    /// What `$name` in its texts stands for.
    pub(super) names: Vec<(&'static str, String)>,
}

// === impl Job ===

impl Job {
    /// The answer to a question for the job.
    pub(super) fn at(&self, elapsed: Duration) -> Value {
        self.answer(&self.id, &self.life, elapsed)
    }

    fn answer(&self, id: &str, life: &Life, elapsed: Duration) -> Value {
        let mut status = "INIT";
        let mut entities: Map<String, Value> = Map::new();
        let mut put = |from: &std::collections::BTreeMap<String, Value>| {
            entities.extend(from.iter().map(|(key, value)| (key.clone(), self.named(value))));
        };
        put(&life.entities);
        let mut job = Map::new();
        let mut end = None;
        for (index, phase) in life.phases.iter().enumerate() {
            // The first phase is there from the beginning.
            if index > 0 && phase.after > elapsed {
                break;
            }
            status = &phase.status;
            put(&phase.entities);
            job.insert("error_code".to_owned(), json!(phase.error_code));
            job.insert("fail_reason".to_owned(), json!(phase.fail_reason));
            end = is_terminal(status).then_some(phase.after);
        }
        let first = life.phases.first().map_or(Duration::ZERO, |phase| phase.after);
        job.insert("status".to_owned(), json!(status));
        job.insert("job_id".to_owned(), json!(id));
        job.insert("job_type".to_owned(), json!(life.job_type));
        let begin = life.begin_time.clone().unwrap_or_else(|| self.time(first));
        job.insert("begin_time".to_owned(), json!(begin));
        let end = end.map(|end| life.end_time.clone().unwrap_or_else(|| self.time(end)));
        job.insert("end_time".to_owned(), json!(end.unwrap_or_default()));
        let has_begun =
            |life: &&Life| life.phases.first().is_none_or(|phase| phase.after <= elapsed);
        let subs: Vec<_> = life.sub_jobs.iter().filter(has_begun).enumerate().collect();
        let subs = subs.into_iter().map(|(index, sub)| {
            let id = sub.id.clone().unwrap_or_else(|| sub_id(id, index));
            self.answer(&id, sub, elapsed)
        });
        let subs: Vec<_> = subs.collect();
        let subs = match (subs.is_empty(), life.no_sub_jobs) {
            (false, _) | (true, Blank::List) => Some(Value::Array(subs)),
            (true, Blank::Absent) => None,
            (true, Blank::Null) => Some(Value::Null),
            (true, Blank::Text) => Some(json!("")),
        };
        if let Some(subs) = subs {
            match life.sub_jobs_in {
                Place::Top => job.insert("sub_jobs".to_owned(), subs),
                Place::Entities => entities.insert("sub_jobs".to_owned(), subs),
            };
        }
        job.insert("entities".to_owned(), Value::Object(entities));
        Value::Object(job)
    }

    fn time(&self, after: Duration) -> String {
        self.begun.checked_add(after).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
    }

    /// A value with the names in its text replaced.
    fn named(&self, value: &Value) -> Value {
        let Value::String(text) = value else {
            return value.clone();
        };
        let replace = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        Value::String(self.names.iter().fold(text.clone(), replace))
    }
}

fn is_terminal(status: &str) -> bool {
    ["SUCCESS", "FAIL"].iter().any(|word| status.eq_ignore_ascii_case(word))
}

/// The id of a sub job that was given none: its parent's with another end.
fn sub_id(parent: &str, index: usize) -> String {
    let keep = parent.len().min(30);
    format!("{}{:02x}", parent.get(..keep).unwrap_or_default(), index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::script::Script;

    fn job(life: &str) -> Job {
        let script = Script::parse("test", life).unwrap();
        Job {
            id: "4010b39b5281d3590152874bfa3b1604".into(),
            life: script.start.create,
            begun: "2016-01-28T16:14:09Z".parse().unwrap(),
            names: vec![("$volume_id", "v-1".into())],
        }
    }

    const LIFE: &str = r#"
        [start.create]
        type = "bksCreateBackup"
        entities = { volume_id = "$volume_id", size = 40 }
        [[start.create.phase]]
        status = "INIT"
        [[start.create.phase]]
        after = "1s"
        status = "RUNNING"
        [[start.create.phase]]
        after = "3s"
        status = "FAIL"
        entities = { backup_id = "b-1" }
        error_code = "VolumeBackup.0064"
        [[start.create.sub_job]]
        type = "step"
        [[start.create.sub_job.phase]]
        after = "2s"
        status = "RUNNING"
    "#;

    #[test]
    fn a_job_lives_by_the_clock() {
        let job = job(LIFE);
        let at = |millis| job.at(Duration::from_millis(millis));
        assert_eq!(at(0)["status"], "INIT");
        assert_eq!(at(999)["status"], "INIT");
        assert_eq!(at(1000)["status"], "RUNNING");
        assert_eq!(at(1000)["end_time"], "");
        assert_eq!(at(1000)["error_code"], Value::Null);
        assert_eq!(at(1000)["entities"], json!({"volume_id": "v-1", "size": 40}));
        assert_eq!(at(1000).get("sub_jobs"), None);
        assert_eq!(at(2000)["sub_jobs"][0]["status"], "RUNNING");
        assert_eq!(at(2000)["sub_jobs"][0]["begin_time"], "2016-01-28T16:14:11.000Z");
        let end = at(3000);
        assert_eq!(end["status"], "FAIL");
        assert_eq!(end["error_code"], "VolumeBackup.0064");
        assert_eq!(end["entities"]["backup_id"], "b-1");
        assert_eq!(end["begin_time"], "2016-01-28T16:14:09.000Z");
        assert_eq!(end["end_time"], "2016-01-28T16:14:12.000Z");
        assert_eq!(at(3_600_000), end);
    }

    #[test]
    fn sub_jobs_stand_where_the_script_says() {
        for (keys, place, expected) in [
            ("", "/sub_jobs", None),
            ("no_sub_jobs = \"null\"", "/sub_jobs", Some(Value::Null)),
            ("no_sub_jobs = \"text\"", "/sub_jobs", Some(json!(""))),
            ("no_sub_jobs = \"list\"", "/sub_jobs", Some(json!([]))),
            (
                "no_sub_jobs = \"list\"\nsub_jobs_in = \"entities\"",
                "/entities/sub_jobs",
                Some(json!([])),
            ),
        ] {
            let answer = job(&format!("[start.create]\n{keys}\n")).at(Duration::ZERO);
            assert_eq!(answer.pointer(place), expected.as_ref(), "{keys}");
        }
    }
}
