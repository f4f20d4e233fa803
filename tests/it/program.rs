//! The program itself: its commands, its exit codes and its end.

use std::sync::Arc;

use jobgate::proto::v1::job_service_client::JobServiceClient;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    sync::Notify,
};

use crate::{
    health::http_get,
    support::{
        Reply, Upstream, becomes,
        gateway::channel,
        get_job,
        program::{SECRET, Server, Simulator, jobgate, output, send},
    },
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
async fn the_demo_that_is_kept_has_a_page() {
    let mut demo = jobgate(&["demo", "--keep"]).spawn().unwrap();
    let mut stdout = BufReader::new(demo.stdout.take().unwrap()).lines();
    let page = loop {
        let line = stdout.next_line().await.unwrap().expect("it names the page");
        if let Some((_, page)) = line.split_once("In a browser, with the token demo-token: http://")
        {
            break page.to_owned();
        }
    };
    let (address, job) = page.split_once("/ui#demo/").unwrap();
    assert!(!job.is_empty());
    assert_eq!(http_get(address.parse().unwrap(), "/ui").await.0, 200);
    send(&demo, "-TERM");
    assert!(demo.wait().await.unwrap().success());
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

#[tokio::test]
async fn own_credentials_are_not_lent_to_whoever_comes() {
    let folder = tempfile::TempDir::new().unwrap();
    let callers = folder.path().join("callers.toml");
    let hash = "0".repeat(64);
    let rule =
        format!("[[caller]]\nname = \"a\"\ntoken_sha256 = [\"{hash}\"]\nprojects = [\"*\"]\n");
    std::fs::write(&callers, rule).unwrap();
    let callers = callers.to_str().unwrap();
    let own = ["--credentials", "aksk", "--access-key", "AK", "--upstream", "http://127.0.0.1:1"];
    let check = async |more: &[&str]| {
        let mut command = jobgate(&[&["check", "--offline"], &own[..], more].concat());
        let done = command.env("JOBGATE_SECRET_KEY", SECRET).output().await.unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let (code, stderr) = check(&["--listen", listen]).await;
        assert_eq!(code, Some(1), "{listen}: {stderr}");
        for part in ["--tls-client-ca", "--callers", "loopback", "passthrough"] {
            assert!(stderr.contains(part), "{listen}: {stderr}");
        }
        let (code, stderr) = check(&["--listen", listen, "--callers", callers]).await;
        assert_eq!(code, Some(0), "{listen}: {stderr}");
    }
    for listen in ["127.0.0.1:0", "127.8.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        let (code, stderr) = check(&["--listen", listen]).await;
        assert_eq!(code, Some(0), "{listen}: {stderr}");
    }
    // Rules that know certificates only know nobody where nobody shows one.
    let san = folder.path().join("san.toml");
    let rule = "[[caller]]\nname = \"a\"\nsan = [\"a.example.com\"]\nprojects = [\"*\"]\n";
    std::fs::write(&san, rule).unwrap();
    let (code, stderr) = check(&["--callers", san.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("--tls-client-ca"), "{stderr}");
    // With the callers' own tokens there is nothing to lend.
    let passthrough = ["check", "--offline", "--upstream", "http://x", "--listen", "0.0.0.0:0"];
    assert_eq!(output(&passthrough).await.status.code(), Some(0));
    let serve = [&["serve"], &own[..], &["--listen", "0.0.0.0:0"]].concat();
    let done = jobgate(&serve).env("JOBGATE_SECRET_KEY", SECRET).output().await.unwrap();
    assert_eq!(done.status.code(), Some(1));
}

#[tokio::test]
async fn sighup_reads_the_files_again() {
    let upstream = Upstream::new([Reply::job()]).await;
    let folder = tempfile::TempDir::new().unwrap();
    let [access_key, secret_key] = ["ak", "sk"].map(|it| folder.path().join(it));
    std::fs::write(&access_key, "AKONE").unwrap();
    std::fs::write(&secret_key, SECRET).unwrap();
    let [ak, sk] = [&access_key, &secret_key].map(|path| path.to_str().unwrap());
    let more = ["--credentials", "aksk", "--access-key-file", ak, "--secret-key-file", sk];
    let more = [&more[..], &["--reload-interval", "1h"]].concat();
    let server = Server::new(&upstream.address.to_string(), &more).await;
    let mut client = JobServiceClient::new(channel(server.address).await);
    client.get_job(get_job()).await.unwrap();
    assert!(upstream.requests().pop().unwrap().contains("Access=AKONE,"));
    std::fs::write(&access_key, "AKTWO").unwrap();
    server.signal("-HUP");
    becomes(async || {
        client.get_job(get_job()).await.unwrap();
        upstream.requests().pop().unwrap().contains("Access=AKTWO,")
    })
    .await;
    drop(client);
    server.signal("-TERM");
    let (status, log) = server.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn a_machine_without_certificates_can_serve_in_a_mesh() {
    let upstream = Upstream::new([Reply::job()]).await;
    let folder = tempfile::TempDir::new().unwrap();
    let none = folder.path().join("none.pem");
    std::fs::write(&none, "").unwrap();
    let env = [("SSL_CERT_FILE", none.to_str().unwrap()), ("SSL_CERT_DIR", "/no/such/folder")];
    let metadata = "--credentials aksk --key-source metadata --metadata-url http://127.0.0.1:9";
    for more in ["", metadata, "--otlp-endpoint http://127.0.0.1:9"] {
        let more: Vec<_> = more.split_whitespace().collect();
        let server = Server::with(&upstream.address.to_string(), &more, &env).await;
        let mut client = JobServiceClient::new(channel(server.address).await);
        let answer = client.get_job(get_job()).await;
        assert_eq!(answer.is_ok(), !more.contains(&"aksk"), "{more:?}: {answer:?}");
        drop(client);
        server.signal("-TERM");
        assert_eq!(server.end().await.0.code(), Some(0), "{more:?}");
    }
}
