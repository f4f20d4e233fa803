//! Parts of a call by themselves: `cargo bench --features measuring --bench micro`.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::{fmt::Write as _, hint::black_box};

use criterion::{Criterion, criterion_group, criterion_main};
use jobgate::{
    job::JobPath,
    measuring,
    signing::{self, Request},
};

/// The example of the API's page, with so many jobs below it.
fn job(sub_jobs: usize) -> String {
    let mut text = String::from(
        r#"{"status":"SUCCESS","entities":{"bks_create_volume_name":"autobk_volume",
        "backup_id":"ba5401a2-7cd2-4c01-8c0d-c936ab412d6d",
        "volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
        "snapshot_id":"a77a96bf-dd18-40bf-a446-fdcefc1719ec"},
        "job_id":"4010b39b5281d3590152874bfa3b1604","job_type":"bksCreateBackup",
        "begin_time":"2016-01-28T16:14:09.466Z","end_time":"2016-01-28T16:25:27.690Z",
        "error_code":null,"fail_reason":null"#,
    );
    if sub_jobs > 0 {
        text.push_str(r#","sub_jobs":["#);
        for number in 0..sub_jobs {
            let comma = if number > 0 { "," } else { "" };
            let below = job(0).replace("4010b39b", &format!("{number:08x}"));
            let _ = write!(text, "{comma}{below}");
        }
        text.push(']');
    }
    text.push('}');
    text
}

const NOT_FOUND: &[u8] = br#"{"error":{"message":"the job does not exist","code":"VBS.0001"}}"#;

fn answers(criterion: &mut Criterion) {
    let path = JobPath::parse("p", "4010b39b5281d3590152874bfa3b1604").unwrap();
    for (name, status, body) in [
        ("job", 200, job(0).into_bytes()),
        ("job with 50 sub jobs", 200, job(50).into_bytes()),
        ("job with 1,000 sub jobs", 200, job(1000).into_bytes()),
        ("no such job", 404, NOT_FOUND.to_vec()),
    ] {
        assert_eq!(measuring::answer(&path, status, &body).is_ok(), status == 200, "{name}");
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| measuring::answer(&path, status, black_box(&body)));
        });
    }
}

fn signature(criterion: &mut Criterion) {
    let request = Request {
        method: "GET",
        path: "/v1/0123456789abcdef0123456789abcdef/jobs/4010b39b5281d3590152874bfa3b1604",
        query: &[],
        headers: &[("host", "vbs.eu-de.otc.t-systems.com")],
        date: "20160128T161409Z",
        body: b"",
    };
    criterion.bench_function("signature", |bencher| {
        bencher.iter(|| signing::authorization("AK", b"secret", black_box(&request)));
    });
}

criterion_group!(parts, answers, signature);
criterion_main!(parts);
