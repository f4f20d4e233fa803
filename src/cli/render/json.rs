//! A job in protobuf's JSON: names in camelCase, unset fields left out, but `jobId` and `status`
//! always there.

use std::{collections::BTreeMap, fmt::Write as _};

use jobgate::proto::v1::{Job, JobStatus};
use serde::Serialize;

use super::{text::steers, time::timestamp};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobJson<'a> {
    job_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    job_type: &'a str,
    status: StatusJson,
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
    sub_jobs: Vec<JobJson<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum StatusJson {
    Name(&'static str),
    /// A value from a later contract.
    Number(i32),
}

/// Renders a job as indented JSON.
pub(crate) fn json(job: &Job) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&JobJson::from(job)).map(|text| escaped(&text))
}

impl<'a> From<&'a Job> for JobJson<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            job_id: &job.job_id,
            job_type: &job.job_type,
            status: StatusJson::from(job.status),
            status_text: &job.status_text,
            entities: &job.entities,
            begin_time: time(job.begin_time.as_ref()),
            end_time: time(job.end_time.as_ref()),
            error_code: job.error_code.as_deref(),
            fail_reason: job.fail_reason.as_deref(),
            sub_jobs: job.sub_jobs.iter().map(Self::from).collect(),
        }
    }
}

impl From<i32> for StatusJson {
    fn from(status: i32) -> Self {
        JobStatus::try_from(status)
            .map_or(Self::Number(status), |known| Self::Name(known.as_str_name()))
    }
}

/// Protobuf writes no fraction, or one of 3, 6 or 9 digits.
pub(super) fn time(sent: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = timestamp(sent)?;
    let nanos = time.subsec_nanosecond();
    let digits = match nanos {
        0 => 0,
        _ if nanos % 1_000_000 == 0 => 3,
        _ if nanos % 1_000 == 0 => 6,
        _ => 9,
    };
    Some(format!("{time:.digits$}"))
}

/// JSON asks to escape the first 32 control characters only. The others are as good at steering a
/// terminal, and escaped the text still means the same.
pub(super) fn escaped(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        if c != '\n' && steers(c) {
            // All of them fit in four digits, and writing to a String can't fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_job() {
        let job = Job {
            job_id: "4010b39b".to_owned(),
            job_type: "bksCreateBackup".to_owned(),
            status: JobStatus::Fail as i32,
            status_text: "FAIL".to_owned(),
            entities: BTreeMap::from([
                ("backup_id".to_owned(), String::new()),
                ("volume_id".to_owned(), "7e5f".to_owned()),
            ]),
            begin_time: Some(prost_types::Timestamp { seconds: 1_453_997_649, nanos: 460_000_000 }),
            end_time: Some(prost_types::Timestamp { seconds: 1_453_998_327, nanos: 0 }),
            error_code: Some("VolumeBackup.0064".to_owned()),
            fail_reason: Some("it says \"no\"\n\u{1b}[2J\u{9b}2J\u{202e}".to_owned()),
            sub_jobs: vec![Job {
                begin_time: Some(prost_types::Timestamp { seconds: 0, nanos: 1_000 }),
                ..Job::default()
            }],
        };
        let expected = r#"{
  "jobId": "4010b39b",
  "jobType": "bksCreateBackup",
  "status": "JOB_STATUS_FAIL",
  "statusText": "FAIL",
  "entities": {
    "backup_id": "",
    "volume_id": "7e5f"
  },
  "beginTime": "2016-01-28T16:14:09.460Z",
  "endTime": "2016-01-28T16:25:27Z",
  "errorCode": "VolumeBackup.0064",
  "failReason": "it says \"no\"\n\u001b[2J\u009b2J\u202e",
  "subJobs": [
    {
      "jobId": "",
      "status": "JOB_STATUS_UNSPECIFIED",
      "beginTime": "1970-01-01T00:00:00.000001Z"
    }
  ]
}"#;
        let text = json(&job).unwrap();
        assert_eq!(text, expected);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["failReason"], job.fail_reason.unwrap());
    }

    #[test]
    fn a_status_of_a_later_contract_is_a_number() {
        let job = Job { status: 99, error_code: Some(String::new()), ..Job::default() };
        assert_eq!(
            json(&job).unwrap(),
            "{\n  \"jobId\": \"\",\n  \"status\": 99,\n  \"errorCode\": \"\"\n}"
        );
    }
}
