//! The program itself: its commands, its exit codes, its log and its end.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Output, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, ChildStdout, Command},
};

use crate::support::{Reply, Upstream, gateway::channel, get_job};

const SECRET: &str = "gAAAAAB-a-secret-token";

fn jobgate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobgate"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn output(args: &[&str]) -> Output {
    jobgate(args).env("JOBGATE_TOKEN", SECRET).output().await.unwrap()
}

/// `jobgate simulate` on a free port.
struct Simulator {
    address: String,
    process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Simulator {
    async fn new() -> Self {
        let mut process = jobgate(&["simulate", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = stdout.next_line().await.unwrap().unwrap();
        let address = line.rsplit("http://").next().unwrap().to_owned();
        Self { address, process, _stdout: stdout }
    }
}

/// `jobgate serve` on a free port, with a log in JSON.
struct Server {
    address: SocketAddr,
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Server {
    async fn new(upstream: &str, more: &[&str]) -> Self {
        let upstream = format!("http://{upstream}");
        let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"];
        args.extend(["--log-format", "json", "--upstream", &upstream]);
        args.extend(more);
        let mut process = jobgate(&args).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"serving\"") {
            line.clear();
            assert!(log.read_line(&mut line).await.unwrap() > 0, "it did not start");
        }
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = line["grpc"].as_str().unwrap().parse().unwrap();
        Self { address, process, log }
    }

    fn signal(&self, signal: &str) {
        send(&self.process, signal);
    }

    /// Its end, and the rest of its log.
    async fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.log.read_to_string(&mut log).await.unwrap();
        (self.process.wait().await.unwrap(), log)
    }
}

fn send(process: &Child, signal: &str) {
    let id = process.id().unwrap().to_string();
    let sent = std::process::Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn get_tells_the_jobs_state_by_its_exit_code() {
    let simulator = Simulator::new().await;
    let server = Server::new(&simulator.address, &[]).await;
    let gateway = format!("http://{}", server.address);
    for (job, code, text) in [
        ("finished", 0, "SUCCESS"),
        ("failed", 3, "VolumeBackup.0064"),
        ("endless", 4, "RUNNING"),
        ("odd", 4, "PENDING_PAYMENT"),
    ] {
        let done = output(&["get", job, "--project", "demo", "--gateway", &gateway]).await;
        let stdout = String::from_utf8(done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(code), "{job}");
        assert!(stdout.contains(text), "{stdout}");
        assert!(!stdout.contains('\x1b'), "colour without a terminal");
    }
    let json = ["get", "odd", "--project", "demo", "--gateway", &gateway, "--output", "json"];
    let json: serde_json::Value = serde_json::from_slice(&output(&json).await.stdout).unwrap();
    assert_eq!(json["entities"]["process_percent"], "12.50");
    assert_eq!(json["subJobs"][0]["status"], "JOB_STATUS_RUNNING");

    let none = output(&["get", "none", "--project", "demo", "--gateway", &gateway]).await;
    assert_eq!(none.status.code(), Some(1));
    let stderr = String::from_utf8(none.stderr).unwrap();
    for part in ["NOT_FOUND", "JOB_NOT_FOUND", "common.0011", "404"] {
        assert!(stderr.contains(part), "{stderr}");
    }

    server.signal("-TERM");
    let (status, log) = server.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains(SECRET));
    send(&simulator.process, "-INT");
    let mut process = simulator.process;
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn every_call_has_one_line_of_log_and_no_token_in_it() {
    let headers = [("x-request-id", "req-7"), ("content-type", "application/json")];
    let body = format!(r#"{{"error":{{"code":"common.0011","message":"no {SECRET}"}}}}"#);
    let upstream = Upstream::new([Reply::with(404, &headers, body.as_bytes())]).await;
    let server = Server::new(&upstream.address.to_string(), &["--log-level", "debug"]).await;
    let mut client = jobgate::proto::v1::job_service_client::JobServiceClient::new(
        channel(server.address).await,
    );
    let mut request = get_job();
    request.metadata_mut().insert("x-auth-token", SECRET.parse().unwrap());
    request.metadata_mut().insert("x-request-id", "mine".parse().unwrap());
    client.get_job(request).await.unwrap_err();
    let mut request = get_job();
    request.metadata_mut().remove("x-auth-token");
    client.get_job(request).await.unwrap_err();
    drop(client);
    server.signal("-INT");
    let (status, log) = server.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains(SECRET), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let calls: Vec<_> = lines.filter(|line| line["target"] == "jobgate::access").collect();
    assert_eq!(calls.len(), 2, "{log}");
    let call = &calls[0];
    assert_eq!(call["method"], "/jobgate.v1.JobService/GetJob");
    assert_eq!((&call["code"], &call["reason"]), (&"NOT_FOUND".into(), &"JOB_NOT_FOUND".into()));
    assert_eq!(call["upstream_http_status"], 404);
    assert_eq!(call["upstream_code"], "common.0011");
    assert_eq!(
        (&call["request_id"], &call["upstream_request_id"]),
        (&"mine".into(), &"req-7".into())
    );
    assert_eq!((&call["attempts"], &call["shared"]), (&1.into(), &false.into()));
    assert!(call["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(calls[1]["reason"], "CREDENTIALS_MISSING");
    assert_eq!(calls[1].get("attempts"), None);
}

#[tokio::test]
async fn a_second_signal_ends_the_drain() {
    let upstream = Upstream::new([Reply::job()]).await;
    let server = Server::new(&upstream.address.to_string(), &["--drain-timeout", "5m"]).await;
    // Half a preface holds the drain.
    let mut half = TcpStream::connect(server.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"PRI * HT").await.unwrap();
    server.signal("-TERM");
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.signal("-TERM");
    assert_eq!(server.end().await.0.code(), Some(0));
}

#[tokio::test]
async fn what_is_wrong_with_a_command_is_said() {
    let script = std::env::temp_dir().join(format!("jobgate-bad-{}.toml", std::process::id()));
    std::fs::write(&script, "\n[[job]]\nproject = \"p\"\nidd = \"x\"\n").unwrap();
    let script = script.to_str().unwrap();
    for (args, code, parts) in [
        (&["serve"][..], 2, &["--upstream"][..]),
        (&["serve", "--upstream", "ftp://x"], 2, &["http or https"]),
        (&["serve", "--upstream", "https://x/v1"], 2, &["API version"]),
        (&["serve", "--upstream", "https://u:p@x"], 2, &["password"]),
        (&["serve", "--upstream", "http://x", "--timeout", "30"], 2, &["--timeout"]),
        (&["serve", "--upstream", "http://x", "--listen", "192.0.2.1:1"], 1, &["192.0.2.1:1"]),
        (&["simulate", "--script", script], 2, &[script, "line 4", "idd"]),
        (&["health", "--admin", "http://127.0.0.1:1"], 1, &["127.0.0.1:1"]),
    ] {
        let done = output(args).await;
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{args:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{args:?}: {stderr}");
        }
    }
    std::fs::remove_file(script).unwrap();
}

#[tokio::test]
async fn health_asks_the_admin_port() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = crate::support::Gateway::new(&upstream).await;
    let admin = format!("http://{}", gateway.admin);
    let done = output(&["health", "--admin", &admin]).await;
    assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(0), &b"SERVING\n"[..]));
}

#[tokio::test]
async fn the_demo_ends_by_itself_with_the_job() {
    let done = output(&["demo"]).await;
    let stdout = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{stdout}");
    for part in ["bksUploadData", "SUCCESS", "jobgate get", "grpcurl", "curl"] {
        assert!(stdout.contains(part), "{stdout}");
    }
}
