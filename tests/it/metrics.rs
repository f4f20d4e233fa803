//! What a scrape shows, and that callers can't make it grow.

use std::{fs, sync::Arc, time::Duration};

use axum::body::Body;
use jobgate::{proto::v1::job_service_client::JobServiceClient, upstream::SecretSource};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::yield_now,
    time::timeout,
};

use crate::{
    health::http_get,
    support::{Gateway, Reply, Upstream, account::Account, gateway::config, get_job},
};

/// The metrics as they are now.
async fn scrape(gateway: &Gateway) -> String {
    let (status, text) = http_get(gateway.admin, "/metrics").await;
    assert_eq!(status, 200);
    text
}

/// A series' value; 0 if there is no such series yet.
fn value(metrics: &str, series: &str) -> f64 {
    let rest = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    rest.map_or(0.0, |value| value.parse().unwrap())
}

/// Returns once the series have these values. A call is counted when it is over, which its caller
/// may know a little sooner.
async fn until(gateway: &Gateway, series: &[(String, f64)]) {
    let settled = async {
        loop {
            let metrics = scrape(gateway).await;
            if series.iter().all(|(series, is)| value(&metrics, series).to_bits() == is.to_bits()) {
                return;
            }
            yield_now().await;
        }
    };
    let in_time = timeout(Duration::from_mins(1), settled).await.is_ok();
    assert!(in_time, "not {series:?}: {}", scrape(gateway).await);
}

fn calls(method: &str, code: &str, error: &str) -> String {
    let error = if error.is_empty() { String::new() } else { format!(",error_type=\"{error}\"") };
    format!(
        "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",\
         rpc_status_code=\"{code}\"{error}}}"
    )
}

fn get_jobs(code: &str, error: &str) -> String {
    calls("jobgate.v1.JobService/GetJob", code, error)
}

fn requests(upstream: &Upstream, end: &str) -> String {
    format!(
        "http_client_request_duration_seconds_count{{http_request_method=\"GET\",\
         url_template=\"/v1/{{project_id}}/jobs/{{job_id}}\",server_address=\"127.0.0.1\",\
         server_port=\"{}\",{end}}}",
        upstream.address.port()
    )
}

#[tokio::test]
async fn calls_and_requests_are_counted_by_how_they_ended() {
    let replies = [
        Reply::json(503, "{}"),
        Reply::job(),
        Reply::json(404, "{}"),
        Reply::json(429, "{}"),
        Reply::BytesThenClose(Vec::new()),
    ];
    let upstream = Upstream::new(replies).await;
    let gateway = Gateway::new(&upstream).await;
    gateway.get().await.unwrap();
    for _ in ["404", "429", "unreachable"] {
        gateway.get().await.unwrap_err();
    }
    let mut request = get_job();
    request.metadata_mut().remove("x-auth-token");
    gateway.send(request).await.unwrap_err();
    gateway.raw("/jobgate.v1.JobService/NoSuch", &[], Body::empty()).await;
    let error = |method: &str, reason: &str| {
        format!("jobgate_call_errors_total{{rpc_method=\"{method}\",reason=\"{reason}\"}}")
    };
    let fetch = |labels: &str| format!("jobgate_upstream_fetches_total{{{labels}}}");
    let status = |status: &str| {
        let error = format!("http_response_status_code=\"{status}\",error_type=\"{status}\"");
        requests(&upstream, &error)
    };
    let expected = [
        (get_jobs("OK", ""), 1.0),
        (get_jobs("NOT_FOUND", ""), 1.0),
        (get_jobs("RESOURCE_EXHAUSTED", ""), 1.0),
        (get_jobs("UNAVAILABLE", "UNAVAILABLE"), 1.0),
        (get_jobs("UNAUTHENTICATED", ""), 1.0),
        (calls("_OTHER", "UNIMPLEMENTED", "UNIMPLEMENTED"), 1.0),
        (error("jobgate.v1.JobService/GetJob", "JOB_NOT_FOUND"), 1.0),
        (error("_OTHER", "METHOD_NOT_IMPLEMENTED"), 1.0),
        (requests(&upstream, "http_response_status_code=\"200\""), 1.0),
        (status("503"), 1.0),
        (status("404"), 1.0),
        (status("429"), 1.0),
        (requests(&upstream, "error_type=\"unreachable\""), 3.0),
        (fetch("outcome=\"ok\""), 1.0),
        (fetch("outcome=\"error\",reason=\"job_not_found\""), 1.0),
        (fetch("outcome=\"error\",reason=\"throttled\""), 1.0),
        (fetch("outcome=\"error\",reason=\"unreachable\""), 1.0),
        ("jobgate_upstream_throttled_total".to_owned(), 1.0),
    ];
    until(&gateway, &expected).await;
    let metrics = scrape(&gateway).await;
    assert_eq!(value(&metrics, "jobgate_build_info{version=\"0.1.0\"}").to_bits(), 1f64.to_bits());
    for positive in ["process_open_fds", "process_resident_memory_bytes", "jobgate_tasks"] {
        assert!(value(&metrics, positive) > 0.0, "{positive}");
    }
    assert!(!metrics.contains("jobgate_credentials"), "{metrics}");
}

#[tokio::test]
async fn no_caller_and_no_upstream_makes_new_series() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let round = async |number: u16| {
        // Three attempts each, or two, or one.
        upstream.goes_on_with([Reply::json(600 + number, "{}")]);
        let mut request = get_job();
        request.get_mut().project_id = format!("project{number}");
        request.get_mut().job_id = format!("job{number}");
        let token = format!("token{number}").parse().unwrap();
        request.metadata_mut().insert("x-auth-token", token);
        gateway.send(request).await.unwrap_err();
        for path in [format!("/p{number}.S/M"), format!("/jobgate.v1.JobService/M{number}")] {
            gateway.raw(&path, &[], Body::empty()).await;
        }
    };
    let series = |metrics: &str| metrics.lines().filter(|line| !line.starts_with('#')).count();
    let rounds = async |from: u16, to: u16| {
        for number in from..to {
            round(number).await;
        }
        let other = calls("_OTHER", "UNIMPLEMENTED", "UNIMPLEMENTED");
        let expected =
            [(other, 2.0 * f64::from(to)), (get_jobs("INTERNAL", "INTERNAL"), f64::from(to))];
        until(&gateway, &expected).await;
        scrape(&gateway).await
    };
    // The first ones make all there can be, such as a spent budget of retries.
    let before = rounds(0, 20).await;
    let metrics = rounds(20, 40).await;
    assert_eq!(series(&metrics), series(&before), "{metrics}");
    for made_up in ["project", "token1", "job1", "M1", "p1.S"] {
        assert!(!metrics.contains(&format!("\"{made_up}")), "{metrics}");
    }
}

#[tokio::test]
async fn watchers_and_their_pollers_are_counted_while_they_are_there() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let watches = [gateway.watch().await.unwrap(), gateway.watch().await.unwrap()];
    let counts = |watchers, pollers| {
        [("jobgate_watchers".to_owned(), watchers), ("jobgate_pollers".to_owned(), pollers)]
    };
    until(&gateway, &counts(2.0, 1.0)).await;
    drop(watches);
    until(&gateway, &counts(0.0, 0.0)).await;
    let metrics = scrape(&gateway).await;
    assert!(value(&metrics, "jobgate_polls_total{outcome=\"changed\"}") >= 1.0, "{metrics}");
    let cancelled = calls("jobgate.v1.JobService/WatchJob", "CANCELLED", "");
    until(&gateway, &[(cancelled, 2.0)]).await;
}

#[tokio::test]
async fn calls_that_share_a_fetch_are_counted_and_so_is_one_that_is_given_up() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new([Reply::job().when(&go)]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await;
    let first = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(1).await;
    first.abort();
    let fetch = |outcome: &str| format!("jobgate_upstream_fetches_total{{outcome=\"{outcome}\"}}");
    until(
        &gateway,
        &[
            (fetch("cancelled"), 1.0),
            (requests(&upstream, "error_type=\"cancelled\""), 1.0),
            (get_jobs("CANCELLED", ""), 1.0),
        ],
    )
    .await;
    let client = gateway.client().await;
    let call = |mut client: JobServiceClient<_>| async move { client.get_job(get_job()).await };
    let second = tokio::spawn(call(client.clone()));
    upstream.has_seen(2).await;
    let third = tokio::spawn(call(client.clone()));
    // A later call on the same connection: when it is answered, the third has been taken in.
    let mut bad = get_job();
    bad.get_mut().job_id.clear();
    client.clone().get_job(bad).await.unwrap_err();
    go.notify_one();
    assert!(second.await.unwrap().is_ok() && third.await.unwrap().is_ok());
    until(&gateway, &[("jobgate_shared_calls_total".to_owned(), 1.0)]).await;
}

#[tokio::test]
async fn the_gateways_own_credentials_and_reloads_are_shown() {
    let account = Account::new("right").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "right").unwrap();
    let mut config = config(account.address);
    config.upstream.credentials = account.login(SecretSource::File(file.clone()));
    let reloads = config.reload.clone();
    let gateway = Gateway::with(config).await;
    gateway.get().await.unwrap();
    let renewals =
        |outcome: &str| format!("jobgate_credentials_renewals_total{{outcome=\"{outcome}\"}}");
    let reload = |outcome: &str| {
        format!("jobgate_reloads_total{{files=\"password\",outcome=\"{outcome}\"}}")
    };
    let ready = || "jobgate_credentials_ready".to_owned();
    until(&gateway, &[(ready(), 1.0), (renewals("issued"), 1.0), (reload("ok"), 0.0)]).await;
    let metrics = scrape(&gateway).await;
    let left = value(&metrics, "jobgate_credentials_time_left_seconds");
    let age = value(&metrics, "jobgate_credentials_age_seconds");
    assert!(left > 80_000.0 && age >= 0.0 && left + age <= 86_400.1, "{left} {age}");
    assert!(metrics.contains("url_template=\"/v3/auth/tokens\""), "{metrics}");

    fs::write(&file, "wrong").unwrap();
    reloads.now();
    until(&gateway, &[(reload("ok"), 1.0), (renewals("rejected"), 1.0)]).await;
    fs::write(&file, "two\nlines").unwrap();
    reloads.now();
    until(&gateway, &[(reload("failed"), 1.0), (reload("ok"), 1.0)]).await;
}

#[tokio::test]
async fn prometheus_gets_the_format_that_it_asks_for() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    for (accept, media_type, open) in [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", true),
        ("*/*", "text/plain; version=0.0.4", false),
    ] {
        let mut stream = TcpStream::connect(gateway.admin).await.unwrap();
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(&format!("content-type: {media_type}")), "{answer}");
        assert!(answer.contains("\njobgate_pollers 0\n"), "{answer}");
        assert_eq!(answer.ends_with("# EOF\n"), open, "{answer}");
    }
}
