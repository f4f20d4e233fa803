//! The upstream refuses requests as too many, and does not say how many would not be.

use std::time::Duration;

use jobgate::{
    proto::v1::{GetJobRequest, JobStatus, WatchJobRequest, watch_job_response::Event},
    server, watch,
};
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    faults::metric,
    support::{
        Gateway, Reply, TOKEN, Upstream, cloud::simulator, gateway::config, get_job, reason,
    },
};

/// What each 429 looks like.
const REFUSAL: &str = r#"{"error_code":"APIGW.0308","error_msg":"over ratelimit,limit:200"}"#;

const HELD_BACK: &str = r#"jobgate_upstream_held_back_total{by="throttle"}"#;

fn told(status: &Status) -> Option<Duration> {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(reason(status), "UPSTREAM_THROTTLED");
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

#[tokio::test]
async fn a_throttled_credential_is_held_back_and_no_other() {
    let refusals = [
        Reply::json(429, REFUSAL),
        Reply::json(202, r#"{"error":{"code":"Common.0024","message":"Flow limit exceeded."}}"#),
        Reply::json(413, r#"{"overLimit":{"code":413,"message":"slow down"}}"#),
    ];
    let each = refusals.map(|refusal| async move {
        let upstream = Upstream::new([refusal]).await;
        let gateway = Gateway::new(&upstream).await;
        let mut status = gateway.get().await.unwrap_err();
        assert_eq!(told(&status), None);
        // The first few learn how often is too often.
        for _ in 0..10 {
            let before = upstream.count();
            status = gateway.get().await.unwrap_err();
            if upstream.count() == before {
                break;
            }
            assert_eq!(told(&status), None);
        }
        assert_eq!(metric(&gateway, HELD_BACK).await, 1);
        let wait = told(&status).unwrap();
        assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
        // Why, as the upstream said it.
        assert!(status.get_details_error_info().unwrap().metadata.contains_key("upstream_code"));
        upstream.goes_on_with([Reply::job()]);
        let mut request = get_job();
        request.metadata_mut().insert("x-auth-token", "another".parse().unwrap());
        for _ in 0..20 {
            let mut same = get_job();
            same.metadata_mut().clone_from(request.metadata());
            gateway.send(same).await.unwrap();
        }
        sleep(wait).await;
        while let Err(status) = gateway.get().await {
            sleep(told(&status).unwrap()).await;
        }
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn without_a_refusal_nothing_is_held_back() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    for _ in 0..100 {
        gateway.get().await.unwrap();
    }
    assert_eq!(metric(&gateway, HELD_BACK).await, 0);
}

/// A cloud with a few jobs that end after a few seconds, where a token may ask twenty times in half
/// a second.
fn script(jobs: usize) -> String {
    use std::fmt::Write as _;

    let mut script = "[throttle]\nlimit = 20\nper = \"500ms\"\n".to_owned();
    for job in 0..jobs {
        write!(
            script,
            "[[job]]\nproject = \"p1\"\nid = \"j{job}\"\n[job.life]\ntype = \"bksCreateBackup\"\n\
             phase = [{{ status = \"RUNNING\" }}, {{ after = \"3s\", status = \"SUCCESS\" }}]\n"
        )
        .unwrap();
    }
    script
}

async fn refusals(gateway: &Gateway) -> u64 {
    metric(gateway, "jobgate_upstream_throttled_total").await
}

/// Watches a job to its end, as a client does that watches again when it is told to wait.
async fn follow(gateway: &Gateway, job: String) {
    let mut client = gateway.client().await;
    let mut watch = loop {
        let message = WatchJobRequest {
            project_id: "p1".into(),
            job_id: job.clone(),
            resume_token: String::new(),
        };
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-auth-token", TOKEN.parse().unwrap());
        match client.watch_job(request).await {
            Ok(watch) => break watch.into_inner(),
            Err(status) => sleep(told(&status).unwrap_or(Duration::from_millis(100))).await,
        }
    };
    let mut last = None;
    while let Some(response) = watch.message().await.unwrap() {
        if let Some(Event::Job(job)) = response.event {
            last = Some(job.status());
        }
    }
    assert_eq!(last, Some(JobStatus::Success));
}

/// Calls without a pause.
async fn hammer(gateway: &Gateway, job: String) {
    let mut client = gateway.client().await;
    loop {
        let message = GetJobRequest { project_id: "p1".into(), job_id: job.clone() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-auth-token", TOKEN.parse().unwrap());
        if let Err(status) = client.get_job(request).await {
            told(&status);
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_storm_calms_down_and_all_jobs_are_followed_to_their_ends() {
    let jobs = 30;
    let mut config: server::Config = config(simulator(&script(jobs)).await);
    config.grpc.watch = watch::Config {
        poll_min: Duration::from_millis(20),
        poll_max: Duration::from_millis(100),
        ..watch::Config::default()
    };
    let gateway = Gateway::with(config).await;
    let watching = async {
        let follow = (0..jobs).map(|job| follow(&gateway, format!("j{job}")));
        futures_util::future::join_all(follow).await;
    };
    let calling = async {
        let hammer = (0..3).map(|job| hammer(&gateway, format!("j{job}")));
        futures_util::future::join_all(hammer).await;
    };
    let measuring = async {
        // The storm begins, and is learned from.
        while refusals(&gateway).await == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_secs(1)).await;
        (Instant::now(), refusals(&gateway).await)
    };
    let (since, early) = tokio::select! {
        ((), calm) = futures_util::future::join(watching, measuring) => calm,
        () = calling => unreachable!("callers do not stop"),
    };
    let late = refusals(&gateway).await - early;
    // Without the limit, some hundred in each second.
    let most = 20 + 5 * since.elapsed().as_secs();
    assert!(late <= most, "{late} refusals within {:?}, after {early} before", since.elapsed());
}
