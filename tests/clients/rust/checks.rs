//! What answers must look like.

use std::collections::BTreeMap;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{
    EXAMPLE,
    snippet::proto::{Job, JobStatus, WatchJobResponse, watch_job_response::Event},
    table,
};

pub(super) fn check_example(job: &Job) {
    assert_eq!(job.job_id, EXAMPLE);
    assert_eq!(job.job_type, "bksCreateBackup");
    assert_eq!(job.status(), JobStatus::Success);
    assert_eq!(job.status_text, "SUCCESS");
    let entities = [
        ("bks_create_volume_name", "autobk_volume"),
        ("backup_id", "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d"),
        ("volume_id", "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc"),
        ("snapshot_id", "a77a96bf-dd18-40bf-a446-fdcefc1719ec"),
    ];
    assert_eq!(job.entities, entities.map(|(name, value)| (name.into(), value.into())).into());
    assert_eq!(job.begin_time.unwrap().to_string(), "2016-01-28T16:14:09.466Z");
    assert_eq!(job.end_time.unwrap().to_string(), "2016-01-28T16:25:27.690Z");
    assert_eq!((&job.error_code, &job.fail_reason), (&None, &None));
    assert_eq!(job.sub_jobs, []);
}

pub(super) fn check_entities(job: &Job) {
    let lines = table("entities.txt");
    let pairs = lines.iter().map(|line| line.split_once(' ').unwrap());
    let expected: BTreeMap<_, _> = pairs.map(|(name, value)| (name.into(), value.into())).collect();
    assert_eq!(job.entities, expected);
}

pub(super) fn check_presence(job: &Job, set: bool) {
    let times = [job.begin_time.is_some(), job.end_time.is_some()];
    let texts = [job.error_code.is_some(), job.fail_reason.is_some()];
    assert_eq!((times, texts), ([set; 2], [set; 2]));
}

pub(super) fn check_sub_jobs(job: &Job) {
    assert_eq!(job.status(), JobStatus::Fail);
    assert_eq!((job.error_code(), job.fail_reason()), ("VolumeBackup.0064", "no room"));
    let [first, second] = &job.sub_jobs[..] else { panic!("{job:?}") };
    assert_eq!((&first.job_id[..], first.status()), ("first", JobStatus::Success));
    assert_eq!((&second.job_id[..], second.status()), ("second", JobStatus::Fail));
    let [third] = &second.sub_jobs[..] else { panic!("{job:?}") };
    assert_eq!((&third.job_id[..], third.status()), ("third", JobStatus::Unspecified));
    assert_eq!(third.status_text, "PENDING_PAYMENT");
}

pub(super) fn check_large(job: &Job) {
    let length: usize = job.entities["length"].parse().unwrap();
    assert!(length > 4_000_000, "{length}");
    assert!(job.entities["text"] == "x".repeat(length), "another text");
}

/// The error is the one that a line of the table says.
pub(super) fn check_error(status: &Status, line: &str) {
    let [job, code, reason, http, others] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    assert_eq!(code_name(status.code()), code, "{line}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((&info.domain[..], &info.reason[..]), ("jobgate", reason), "{line}");
    let given = info.metadata.get("upstream_http_status").map_or("-", |given| given);
    assert_eq!(given, http, "{line}");
    let found = [
        details.bad_request().map(|_| "BadRequest"),
        details.request_info().map(|_| "RequestInfo"),
        details.resource_info().map(|_| "ResourceInfo"),
        details.retry_info().map(|_| "RetryInfo"),
    ];
    let found: Vec<_> = found.into_iter().flatten().collect();
    assert_eq!(found.join(","), others, "{line}");
    if let Some(bad) = details.bad_request() {
        assert_eq!(bad.field_violations[0].field, "job_id");
    }
    if let Some(resource) = details.resource_info() {
        assert_eq!(resource.resource_name, format!("projects/p/jobs/{job}"));
    }
    assert!(details.request_info().is_none_or(|request| !request.request_id.is_empty()));
    let wait = details.retry_info().and_then(|retry| retry.retry_delay);
    assert!(wait.is_none_or(|wait| wait.as_secs() >= 5), "{wait:?}");
}

/// The name in gRPC's documents: of `NotFound`, `NOT_FOUND`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

pub(super) fn check_history(responses: &[WatchJobResponse]) {
    let states = responses.iter().filter_map(|response| match &response.event {
        Some(Event::Job(job)) => Some(&job.status_text[..]),
        Some(Event::Heartbeat(_)) | None => None,
    });
    let states: Vec<_> = states.collect();
    assert_eq!(states.last(), Some(&"SUCCESS"));
    let mut order = vec!["INIT", "RUNNING", "SUCCESS"];
    order.retain(|state| states.contains(state));
    assert_eq!(states, order);
    assert!(responses.is_sorted_by_key(|response| {
        response.observe_time.map(|time| (time.seconds, time.nanos))
    }));
    assert!(responses.iter().all(|response| !response.resume_token.is_empty()));
}
