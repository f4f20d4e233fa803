//! A job in the [JSON mapping of protobuf](https://protobuf.dev/programming-guides/json/).
//!
//! Unset fields are left out, as that mapping does, but a job's id and status are always there.

use std::collections::BTreeMap;

use jobgate::proto::v1::Job;
use serde::Serialize;

use super::time;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonJob<'a> {
    job_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    job_type: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status_text: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    entities: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fail_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sub_jobs: Vec<JsonJob<'a>>,
}

/// A job as JSON; several lines, each with its end.
pub(in crate::cli) fn json(job: &Job) -> String {
    let text = serde_json::to_string_pretty(&JsonJob::from(job));
    // Texts and numbers can always be written.
    text.map(|text| text + "\n").unwrap_or_default()
}

impl<'a> From<&'a Job> for JsonJob<'a> {
    fn from(job: &'a Job) -> Self {
        let text = |timestamp| time(timestamp).map(|time| time.to_string());
        Self {
            job_id: &job.job_id,
            job_type: &job.job_type,
            status: job.status().as_str_name(),
            status_text: &job.status_text,
            entities: &job.entities,
            begin_time: job.begin_time.as_ref().and_then(text),
            end_time: job.end_time.as_ref().and_then(text),
            error_code: job.error_code.as_deref(),
            fail_reason: job.fail_reason.as_deref(),
            sub_jobs: job.sub_jobs.iter().map(Self::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_protobuf_mapping() {
        let job = Job {
            job_id: "j".into(),
            status: 4,
            status_text: "FAIL".into(),
            entities: [("backup_id".to_owned(), String::new())].into(),
            begin_time: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: 466_000_000,
            }),
            error_code: Some(String::new()),
            sub_jobs: vec![Job::default()],
            ..Job::default()
        };
        let read: serde_json::Value = serde_json::from_str(&json(&job)).unwrap();
        let expected = serde_json::json!({
            "jobId": "j",
            "status": "JOB_STATUS_FAIL",
            "statusText": "FAIL",
            "entities": {"backup_id": ""},
            "beginTime": "1970-01-01T00:00:00.466Z",
            "errorCode": "",
            "subJobs": [{"jobId": "", "status": "JOB_STATUS_UNSPECIFIED"}],
        });
        assert_eq!(read, expected);
    }
}
