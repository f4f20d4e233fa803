use proptest::prelude::*;

use super::*;

fn read(json: &str) -> (Result<Job, NoJob>, Oddities) {
    let path = JobPath::parse("p", "asked").unwrap();
    let mut oddities = Oddities::default();
    let result = job(Object::parse(json).expect(json), &path, &mut oddities);
    (result, oddities)
}

fn good(json: &str) -> Job {
    read(json).0.expect(json)
}

fn entities(job: &Job) -> Vec<(&str, &str)> {
    job.entities.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// The API page's own kind of answer.
const FINISHED: &str = r#"{"status":"SUCCESS","entities":{"bks_create_volume_name":"autobk_volume",
    "backup_id":"b","volume_id":"v","snapshot_id":"s"},"job_id":"4010","job_type":"bksCreateBackup",
    "begin_time":"2016-01-28T16:14:09.466Z","end_time":"2016-01-28T16:25:27.690Z",
    "error_code":null,"fail_reason":null}"#;

#[test]
fn a_documented_answer_is_read_whole_and_has_nothing_odd() {
    let (job, oddities) = read(FINISHED);
    let job = job.unwrap();
    assert_eq!(job.status, Status::Success);
    assert_eq!((job.job_id.as_str(), job.job_type.as_str()), ("4010", "bksCreateBackup"));
    assert_eq!(job.entities["bks_create_volume_name"], "autobk_volume");
    assert_eq!(job.begin_time.unwrap().to_string(), "2016-01-28T16:14:09.466Z");
    assert_eq!(job.end_time.unwrap().to_string(), "2016-01-28T16:25:27.69Z");
    assert_eq!((job.error_code, job.fail_reason, job.sub_jobs), (None, None, vec![]));
    assert_eq!(oddities.kinds(), []);
}

#[test]
fn a_failed_job_is_a_job() {
    let job = good(
        r#"{"status":"FAIL","entities":{"backup_id":""},"job_id":"j","begin_time":"2016-01-15T01:0807.476Z",
        "error_code":"VolumeBackup.0064","fail_reason":"CreateBackup Task-fail"}"#,
    );
    assert_eq!(job.status, Status::Fail);
    assert_eq!(job.error_code.as_deref(), Some("VolumeBackup.0064"));
    assert_eq!(job.fail_reason.as_deref(), Some("CreateBackup Task-fail"));
    assert_eq!(job.begin_time, None);
    assert_eq!(entities(&job), [("backup_id", "")]);
}

#[test]
fn entities_of_any_type_are_text() {
    let job = good(
        r#"{"status":"RUNNING","entities":{"a":40,"b":1.50,"c":true,"d":null,"e":{"x": 1},"f":[1, 2],"g":"s"}}"#,
    );
    let expected = [
        ("a", "40"),
        ("b", "1.50"),
        ("c", "true"),
        ("d", ""),
        ("e", r#"{"x":1}"#),
        ("f", "[1,2]"),
        ("g", "s"),
    ];
    assert_eq!(entities(&job), expected);
}

#[test]
fn blank_entities_and_sub_jobs_are_none() {
    for blank in ["null", r#""""#, "[]", "[ ]"] {
        let json =
            format!(r#"{{"status":"INIT","job_id":"j","entities":{blank},"sub_jobs":{blank}}}"#);
        let (job, oddities) = read(&json);
        let job = job.unwrap();
        assert!(job.entities.is_empty() && job.sub_jobs.is_empty(), "{json}");
        assert_eq!(oddities.kinds(), [], "{json}");
    }
}

#[test]
fn blank_error_fields_are_unset_and_others_are_text() {
    for (value, expected) in [
        ("null", None),
        (r#""""#, None),
        (r#""VolumeBackup.0064""#, Some("VolumeBackup.0064")),
        ("64", Some("64")),
        (r#"{"a": 1}"#, Some(r#"{"a":1}"#)),
    ] {
        let job =
            good(&format!(r#"{{"status":"FAIL","error_code":{value},"fail_reason":{value}}}"#));
        assert_eq!(job.error_code.as_deref(), expected);
        assert_eq!(job.fail_reason.as_deref(), expected);
    }
}

#[test]
fn sub_jobs_nested_in_entities_move_up_when_the_top_has_none() {
    let nested = r#"{"status":"RUNNING","entities":{"sub_jobs_total":1,"sub_jobs":[{"status":"INIT","job_id":"s"}]}"#;
    let job = good(&format!("{nested}}}"));
    assert_eq!(job.sub_jobs.len(), 1);
    assert_eq!(entities(&job), [("sub_jobs_total", "1")]);
    let job = good(&format!(r#"{nested},"sub_jobs":""}}"#));
    assert_eq!(job.sub_jobs.len(), 1);
    let job = good(&format!(r#"{nested},"sub_jobs":[{{"status":"FAIL","job_id":"t"}}]}}"#));
    assert_eq!(job.sub_jobs[0].job_id, "t");
    assert_eq!(job.entities["sub_jobs"], r#"[{"status":"INIT","job_id":"s"}]"#);
    let job = good(r#"{"status":"INIT","entities":{"sub_jobs":"3"}}"#);
    assert_eq!(entities(&job), [("sub_jobs", "3")]);
    let job = good(r#"{"status":"INIT","entities":{"sub_jobs":["a", "b"]}}"#);
    assert_eq!(entities(&job), [("sub_jobs", r#"["a","b"]"#)]);
    let job = good(r#"{"status":"INIT","entities":{"sub_jobs":[]}}"#);
    assert!(job.entities.is_empty());
}

#[test]
fn odd_sub_jobs_cost_no_good_ones() {
    let (job, oddities) = read(
        r#"{"status":"RUNNING","job_id":"j","sub_jobs":[1,{"status":"SUCCESS","job_id":"a"},null,{"job_id":"b"}]}"#,
    );
    let job = job.unwrap();
    let subs: Vec<_> = job.sub_jobs.iter().map(|sub| (sub.job_id.as_str(), sub.status)).collect();
    assert_eq!(subs, [("a", Status::Success), ("b", Status::Unspecified)]);
    assert_eq!(oddities.kinds(), [Oddity::SubJobNotObject, Oddity::StatusUnknown]);
    assert_eq!(good(r#"{"status":"INIT","sub_jobs":{"job_id":"one"}}"#).sub_jobs[0].job_id, "one");
}

#[test]
fn the_id_asked_for_fills_a_missing_one() {
    assert_eq!(good(r#"{"status":"INIT"}"#).job_id, "asked");
    assert_eq!(good(r#"{"status":"INIT","job_id":"own"}"#).job_id, "own");
}

#[test]
fn an_unknown_status_keeps_its_word() {
    let job = good(r#"{"status":"PENDING_PAYMENT"}"#);
    assert_eq!((job.status, job.status_text.as_str()), (Status::Unspecified, "PENDING_PAYMENT"));
}

fn nested(levels: usize, open: &str, close: &str) -> String {
    format!(
        r#"{}{{"status":"INIT"}}{}"#,
        format!(r#"{{"status":"INIT",{open}"#).repeat(levels),
        close.repeat(levels)
    )
}

#[test]
fn sub_jobs_go_as_deep_as_allowed_and_no_deeper() {
    for (open, close) in
        [(r#""sub_jobs":["#, "]}"), (r#""entities":{"sub_jobs":["#, "]}}"), (r#""sub_jobs":"#, "}")]
    {
        let mut job = &good(&nested(MAX_DEPTH, open, close));
        let mut depth = 0;
        while let Some(sub) = job.sub_jobs.first() {
            job = sub;
            depth += 1;
        }
        assert_eq!(depth, MAX_DEPTH);
        for levels in [MAX_DEPTH + 1, 10_000] {
            assert_eq!(read(&nested(levels, open, close)).0, Err(NoJob::TooDeep));
        }
    }
}

#[test]
fn a_bomb_of_empty_sub_jobs_is_refused() {
    let json = format!(r#"{{"status":"INIT","sub_jobs":[{}{{}}]}}"#, "{},".repeat(1_000_000));
    assert_eq!(read(&json).0, Err(NoJob::TooManyJobs));
}

#[test]
fn without_a_status_there_is_no_job() {
    assert_eq!(read(r#"{"job_id":"j"}"#).0, Err(NoJob::NoStatus));
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(|v| format!("{v:?}")),
        any::<String>().prop_map(|value| serde_json::Value::String(value).to_string()),
        Just(r#""\ud800""#.to_owned()),
        Just("1e999".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|elements| format!("[{}]", elements.join(" , "))),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|fields| {
                let field = |(key, value)| format!("{}: {value}", serde_json::Value::String(key));
                format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

const FIELDS: [&str; 9] = [
    "job_id",
    "job_type",
    "entities",
    "begin_time",
    "end_time",
    "error_code",
    "fail_reason",
    "sub_jobs",
    "status",
];

proptest! {
    #[test]
    fn no_value_in_any_field_loses_the_job(field in 0..FIELDS.len(), value in any_json()) {
        let field = FIELDS[field];
        let mut fields: Vec<_> = FIELDS.into_iter().filter(|name| *name != field)
            .map(|name| format!(r#""{name}":{}"#, match name {
                "entities" => r#"{"k":"v"}"#,
                "sub_jobs" => r#"[{"job_id":"sub","status":"FAIL"}]"#,
                "status" => r#""RUNNING""#,
                "begin_time" | "end_time" => r#""2016-01-28T16:14:09.466Z""#,
                _ => r#""text""#,
            })).collect();
        fields.push(format!(r#""{field}": {value}"#));
        let job = good(&format!("{{{}}}", fields.join(",")));
        prop_assert!(!job.job_id.is_empty());
        prop_assert!(field == "status" || job.status == Status::Running);
        prop_assert!(field == "job_type" || job.job_type == "text");
        prop_assert!(field == "entities" || job.entities["k"] == "v");
        prop_assert!(field == "begin_time" || job.begin_time.is_some());
        prop_assert!(field == "end_time" || job.end_time.is_some());
        prop_assert!(field == "error_code" || job.error_code.as_deref() == Some("text"));
        prop_assert!(field == "fail_reason" || job.fail_reason.as_deref() == Some("text"));
        prop_assert!(field == "sub_jobs" || job.sub_jobs[0].job_id == "sub");
    }

    #[test]
    fn no_entity_is_lost(value in any_json()) {
        let job = good(&format!(r#"{{"status":"INIT","entities":{{"odd":{value},"good":"v"}}}}"#));
        prop_assert_eq!(&job.entities["good"], "v");
        prop_assert!(job.entities.contains_key("odd"));
    }

    #[test]
    fn any_text_at_all_never_panics(body in any::<String>()) {
        if let Some(object) = Object::parse(&body) {
            let path = JobPath::parse("p", "j").unwrap();
            let _ = job(object, &path, &mut Oddities::default());
        }
    }
}
