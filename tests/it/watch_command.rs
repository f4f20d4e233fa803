//! `jobgate watch`, as its user sees it.

use std::{process::Output, time::Duration};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::{
    Gateway, Reply, Upstream,
    gateway::config,
    program::{SECRET, jobgate},
};

/// A gateway that polls often.
fn restless(upstream: &Upstream) -> jobgate::server::Config {
    let mut config = config(upstream.address);
    config.grpc.watch.poll_min = Duration::from_millis(20);
    config
}

fn command(gateway: std::net::SocketAddr, more: &[&str]) -> tokio::process::Command {
    let gateway = format!("http://{gateway}");
    let mut command = jobgate(&["watch", "j1", "--project", "p1", "--gateway", &gateway]);
    command.args(more).env("JOBGATE_TOKEN", SECRET);
    command
}

async fn watch(gateway: &Gateway, more: &[&str]) -> Output {
    command(gateway.address, more).output().await.unwrap()
}

/// The states in the lines, without their times.
fn states(stdout: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(stdout).unwrap();
    text.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect()
}

#[tokio::test]
async fn it_ends_with_the_jobs_end() {
    for (end, code) in [("SUCCESS", 0), ("FAIL", 3)] {
        let upstream = Upstream::new([Reply::state("RUNNING", "a"), Reply::state(end, "b")]).await;
        let gateway = Gateway::with(restless(&upstream)).await;
        let done = watch(&gateway, &[]).await;
        assert_eq!(done.status.code(), Some(code), "{done:?}");
        assert_eq!(states(&done.stdout), ["RUNNING  a".to_owned(), format!("{end}  b")]);
    }
}

#[tokio::test]
async fn as_json_each_event_is_a_line() {
    let upstream =
        Upstream::new([Reply::state("RUNNING", "a"), Reply::state("SUCCESS", "b")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let done = watch(&gateway, &["--output", "json"]).await;
    let text = String::from_utf8(done.stdout).unwrap();
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let jobs: Vec<_> = events.iter().filter(|event| event.get("job").is_some()).collect();
    assert_eq!(jobs[0]["job"]["status"], "JOB_STATUS_RUNNING");
    assert_eq!(jobs[1]["job"]["status"], "JOB_STATUS_SUCCESS");
    assert!(jobs.iter().all(|event| event["resumeToken"].is_string()));
    assert!(jobs.iter().all(|event| event["observeTime"].is_string()));
}

#[tokio::test]
async fn trouble_of_the_upstream_is_told() {
    let down = Reply::with(503, &[("retry-after", "30")], b"{}");
    let upstream = Upstream::new([Reply::state("RUNNING", "a"), down]).await;
    let mut config = restless(&upstream);
    config.grpc.watch.heartbeat = Duration::from_millis(20);
    let gateway = Gateway::with(config).await;
    let mut process = command(gateway.address, &[]).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = async || lines.next_line().await.unwrap().unwrap();
    assert!(next().await.ends_with("RUNNING  a"));
    let trouble = next().await;
    assert!(trouble.contains("UNAVAILABLE (UPSTREAM_UNAVAILABLE)"), "{trouble}");
}

#[tokio::test]
async fn a_watch_that_expires_is_taken_up_where_it_was() {
    let upstream = Upstream::new([Reply::state("RUNNING", "a")]).await;
    let mut config = restless(&upstream);
    config.grpc.watch.max_age = Duration::from_millis(100);
    let gateway = Gateway::with(config).await;
    let mut process = command(gateway.address, &[]).spawn().unwrap();
    let mut stderr = BufReader::new(process.stderr.take().unwrap()).lines();
    let line = stderr.next_line().await.unwrap().unwrap();
    assert!(line.contains("watching again") && line.contains("WATCH_EXPIRED"), "{line}");
    upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
    let done = process.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(states(&done.stdout), ["RUNNING  a", "SUCCESS  b"]);
}

#[tokio::test]
async fn a_gateway_that_restarts_costs_no_watch() {
    let upstream = Upstream::new([Reply::state("RUNNING", "a")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let address = gateway.address;
    let process = command(address, &[]).spawn().unwrap();
    upstream.has_seen(2).await;
    gateway.stopped().await;
    let mut config = restless(&upstream);
    config.listen = address;
    let _next = Gateway::with(config).await;
    upstream.goes_on_with([Reply::state("SUCCESS", "b")]);
    let done = process.wait_with_output().await.unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(states(&done.stdout).last().unwrap(), "SUCCESS  b");
    assert!(states(&done.stdout).len() <= 2, "{done:?}");
}

#[tokio::test]
async fn the_time_limit_has_a_code_of_its_own() {
    let upstream = Upstream::new([Reply::state("RUNNING", "a")]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let done = watch(&gateway, &["--timeout", "300ms"]).await;
    assert_eq!(done.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&done.stderr).contains("not ended within 300ms"));
}

#[tokio::test]
async fn it_ends_with_its_reader() {
    let states = ["a", "b"].map(|text| Reply::state("RUNNING", text));
    let upstream = Upstream::new(states).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let mut process = command(gateway.address, &[]).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().ends_with("RUNNING  a"));
    drop(lines);
    upstream.goes_on_with([Reply::state("RUNNING", "c")]);
    let done = process.wait_with_output().await.unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(4), &b""[..]));
}

#[tokio::test]
async fn what_no_repeat_can_mend_ends_it() {
    let body = r#"{"error":{"code":"common.0011","message":"query job fail"}}"#;
    let upstream = Upstream::new([Reply::json(404, body)]).await;
    let gateway = Gateway::with(restless(&upstream)).await;
    let unknown = watch(&gateway, &[]).await;
    let nobody = Upstream::new([]).await.address;
    let unreachable = command(nobody, &[]).output().await.unwrap();
    let mut no_token = command(gateway.address, &[]);
    let no_token = no_token.env_remove("JOBGATE_TOKEN").output().await.unwrap();
    for (done, part) in [
        (unknown, "JOB_NOT_FOUND"),
        (unreachable, "cannot reach"),
        (no_token, "CREDENTIALS_MISSING"),
    ] {
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
        assert!(part == "cannot reach" || stderr.contains("request id:"), "{stderr}");
    }
}

#[tokio::test]
async fn the_demo_stays_if_asked_and_its_commands_work() {
    let mut demo = jobgate(&["demo", "--keep"]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut commands = String::new();
    while !commands.contains("-d '{\"backup\"") {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.starts_with("export") || !commands.is_empty() {
            commands = commands + &line + "\n";
        }
    }
    for (with, code, part) in
        [(" get failed", 3, "VolumeBackup.0064"), ("/v1/demo/jobs/", 0, "\"SUCCESS\"")]
    {
        let mut lines = commands.lines();
        let export = lines.next().unwrap();
        let command = lines.find(|line| line.contains(with)).unwrap();
        let script = format!("{export}\n{command}");
        let done = tokio::process::Command::new("sh").args(["-c", &script]).output().await.unwrap();
        assert_eq!(done.status.code(), Some(code), "{script} {done:?}");
        assert!(String::from_utf8_lossy(&done.stdout).contains(part), "{done:?}");
    }
    crate::support::program::send(&demo, "-INT");
    assert_eq!(demo.wait().await.unwrap().code(), Some(0));
}
