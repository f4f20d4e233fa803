//! The program itself: its commands, its exit codes and its end.

use std::sync::Arc;

use jobgate::proto::v1::job_service_client::JobServiceClient;
use tokio::{net::TcpStream, sync::Notify};

use crate::support::{
    Reply, Upstream,
    gateway::channel,
    get_job,
    program::{SECRET, Server, Simulator, output, send},
};

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
async fn a_second_signal_ends_the_drain() {
    let upstream = Upstream::new([Reply::job().when(&Arc::new(Notify::new()))]).await;
    let server = Server::new(&upstream.address.to_string(), &["--drain-timeout", "5m"]).await;
    // A call under way holds the drain.
    let mut client = JobServiceClient::new(channel(server.address).await);
    let call = tokio::spawn(async move { client.get_job(get_job()).await });
    upstream.has_seen(1).await;
    server.signal("-TERM");
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.signal("-TERM");
    assert_eq!(server.end().await.0.code(), Some(0));
    call.await.unwrap().unwrap_err();
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
        (&["serve", "--upstream", "https://u:pass1@x"], 2, &["--upstream", "password"]),
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
        assert!(!stderr.contains("\\n"), "{stderr}");
        assert!(!stderr.contains("pass1"), "{stderr}");
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

#[tokio::test]
async fn colour_comes_when_it_is_asked_for() {
    let simulator = Simulator::new().await;
    let server = Server::new(&simulator.address, &[]).await;
    let gateway = format!("http://{}", server.address);
    let get = ["get", "finished", "--project", "demo", "--gateway", &gateway, "--color"];
    for (when, colored) in [("always", true), ("never", false), ("auto", false)] {
        let done = output(&[&get[..], &[when]].concat()).await;
        assert_eq!(done.stdout.contains(&0x1b), colored, "{when}");
    }
}
