//! Trees, letter for letter.

use anstream::adapter::strip_str;

use super::*;

fn at(text: &str) -> prost_types::Timestamp {
    let time: Timestamp = text.parse().unwrap();
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

fn now() -> Timestamp {
    "2016-01-28T16:20:00Z".parse().unwrap()
}

fn entities<const N: usize>(
    pairs: [(&str, &str); N],
) -> std::collections::BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn job(status: JobStatus, job_type: &str, id: &str) -> Job {
    Job {
        job_id: id.to_owned(),
        job_type: job_type.to_owned(),
        status: status as i32,
        ..Job::default()
    }
}

#[test]
fn a_job_with_sub_jobs() {
    let copy = Job {
        begin_time: Some(at("2016-01-28T16:15:00Z")),
        sub_jobs: vec![job(JobStatus::Init, "verify", "c1")],
        ..job(JobStatus::Running, "copyData", "b1")
    };
    let snapshot = Job {
        begin_time: Some(at("2016-01-28T16:14:09.466Z")),
        end_time: Some(at("2016-01-28T16:14:10.5Z")),
        entities: entities([("snapshot_id", "a77a96bf")]),
        ..job(JobStatus::Success, "createSnapshot", "b0")
    };
    let clean = Job {
        error_code: Some("VolumeBackup.0064".to_owned()),
        fail_reason: Some("cinder says no".to_owned()),
        ..job(JobStatus::Fail, "clean", "b2")
    };
    let backup = Job {
        begin_time: Some(at("2016-01-28T16:14:09.466Z")),
        entities: entities([
            ("backup_id", ""),
            ("bks_create_volume_name", "autobk"),
            ("volume_id", "7e5f"),
        ]),
        sub_jobs: vec![snapshot, copy, clean],
        ..job(JobStatus::Running, "bksCreateBackup", "4010b39b")
    };
    let expected = "\
RUNNING  bksCreateBackup    ━━━━━━━━━━━━━━━━━━━━━━━━  5m 50s so far
│  id           4010b39b
│  begin        2016-01-28T16:14:09.466Z
│  entities     backup_id               (empty)
│               bks_create_volume_name  autobk
│               volume_id               7e5f
├─ SUCCESS  createSnapshot  ━                         1s 34ms
│     id           b0
│     begin        2016-01-28T16:14:09.466Z
│     end          2016-01-28T16:14:10.500Z
│     entities     snapshot_id  a77a96bf
├─ RUNNING  copyData           ━━━━━━━━━━━━━━━━━━━━━  5m so far
│  │  id           b1
│  │  begin        2016-01-28T16:15:00.000Z
│  └─ INIT  verify
│        id           c1
└─ FAIL  clean
      id           b2
      error_code   VolumeBackup.0064
      fail_reason  cinder says no";
    let text = tree(&backup, now());
    assert_eq!(strip_str(&text).to_string(), expected);
    assert!(text.contains("\u{1b}["), "colours are left to the console");
}

#[test]
fn an_unknown_status_is_told_in_the_upstreams_word() {
    let mut odd = job(JobStatus::Unspecified, "", "1");
    odd.status_text = "PENDING_PAYMENT".to_owned();
    assert_eq!(
        strip_str(&tree(&odd, now())).to_string(),
        "PENDING_PAYMENT (unknown status)\n   id           1"
    );
    odd.status_text.clear();
    odd.job_id.clear();
    assert_eq!(strip_str(&tree(&odd, now())).to_string(), "(no status)");
}

#[test]
fn control_characters_reach_no_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{9b}2J\r\n\u{202e}";
    let sub_job = job(JobStatus::Success, evil, evil);
    let job = Job {
        status_text: evil.to_owned(),
        entities: entities([(evil, evil)]),
        error_code: Some(evil.to_owned()),
        fail_reason: Some(evil.to_owned()),
        sub_jobs: vec![sub_job],
        ..job(JobStatus::Unspecified, evil, evil)
    };
    let text = tree(&job, now());
    // Only our own colours may begin an escape sequence.
    for (at, _) in text.match_indices('\u{1b}') {
        let sequence = &text[at + 1..];
        let end = sequence.find('m').unwrap();
        assert!(
            sequence.starts_with('[')
                && sequence[1..end].chars().all(|c| c.is_ascii_digit() || c == ';')
        );
    }
    let others = text.replace(['\n', '\u{1b}'], "");
    assert!(!others.contains(super::super::text::steers));
    assert_eq!(text.lines().count(), 7);
}
