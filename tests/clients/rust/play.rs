//! Plays the scenarios with tonic; see `../interop/scenarios.md`.
#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

mod checks;
mod services;
mod snippet;

use std::{
    env, fs, io,
    panic::AssertUnwindSafe,
    pin::pin,
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future};
use tokio::time::{Instant, timeout};
use tonic::{
    Code, Request, Status, Streaming,
    codec::CompressionEncoding,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use self::{
    checks::{
        check_entities, check_error, check_example, check_history, check_large, check_presence,
        check_sub_jobs,
    },
    snippet::{
        Client, deadline_passed,
        proto::{
            GetJobRequest, JobStatus, WatchJobRequest, WatchJobResponse,
            job_service_client::JobServiceClient, watch_job_response::Event,
        },
        reason, tls,
    },
};

const EXAMPLE: &str = "4010b39b5281d3590152874bfa3b1604";

fn variable(name: &str) -> String {
    env::var(name).unwrap()
}

/// The lines of a table.
fn table(name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{}/{name}", variable("JOBGATE_TABLES"))).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

/// Asks the runner something.
fn ask(line: &str) -> String {
    println!("{line}");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).unwrap();
    answer.trim().to_owned()
}

/// No watch is left at the gateway. Asked while the channel lives.
fn none_left() {
    assert_eq!(ask("watchers"), "0");
}

fn plaintext(address: &str) -> Endpoint {
    Endpoint::from_shared(format!("http://{}", variable(address))).unwrap()
}

fn channel() -> Channel {
    plaintext("JOBGATE_ADDRESS").connect_lazy()
}

/// A client whose token has something added.
fn client(address: &str, added: &str) -> Client {
    let token = format!("{}{added}", variable("JOBGATE_TOKEN"));
    Client::new(&plaintext(address), &token).unwrap()
}

fn usual() -> Client {
    client("JOBGATE_ADDRESS", "")
}

fn request(job: &str) -> GetJobRequest {
    GetJobRequest { project_id: "p".into(), job_id: job.into() }
}

async fn watch_once(
    client: &Client,
    job: &str,
    token: &str,
    limit: Duration,
) -> Result<Streaming<WatchJobResponse>, Status> {
    let mut request = Request::new(WatchJobRequest {
        project_id: "p".into(),
        job_id: job.into(),
        resume_token: token.into(),
    });
    request.set_timeout(limit);
    Ok(client.stub.clone().watch_job(request).await?.into_inner())
}

const LONG: Duration = Duration::from_secs(10);

/// Of a watch that must end before, since the runner waits ten seconds for that.
const LONGER: Duration = Duration::from_mins(1);

/// What the pauses of two seconds are at least, however clocks are read.
const PAUSE: Duration = Duration::from_millis(1900);

async fn error_codes() {
    for line in table("errors.txt") {
        let job = line.split(' ').next().unwrap();
        let get = client("JOBGATE_ADDRESS", &format!("-get-{job}"));
        check_error(&get.stub.clone().get_job(request(job)).await.unwrap_err(), &line);
        let watch = client("JOBGATE_ADDRESS", &format!("-watch-{job}"));
        check_error(&watch_once(&watch, job, "", LONG).await.unwrap_err(), &line);
    }
}

async fn deadline() {
    let mut call = Request::new(request("slow"));
    call.set_timeout(Duration::from_millis(300));
    let passed = usual().stub.get_job(call).await.unwrap_err();
    assert!(deadline_passed(&passed), "{passed}");
    let client = usual();
    let limit = Duration::from_secs(2);
    let mut watch = watch_once(&client, "endless", "", limit).await.unwrap();
    assert!(matches!(watch.message().await.unwrap().unwrap().event, Some(Event::Job(_))));
    let passed = watch.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(passed.code(), Code::DeadlineExceeded, "{passed}");
    none_left();
}

/// tonic cancels what is dropped, and nobody is left to be told.
async fn cancel_after_begin() {
    let client = usual();
    {
        let mut watch = pin!(watch_once(&client, "slow", "", LONGER));
        // It is begun, and not answered.
        assert!(timeout(Duration::from_millis(100), &mut watch).await.is_err());
    }
    none_left();
}

async fn cancel_after_first_response() {
    let client = usual();
    let mut watch = watch_once(&client, "endless", "", LONGER).await.unwrap();
    assert!(matches!(watch.message().await.unwrap().unwrap().event, Some(Event::Job(_))));
    drop(watch);
    none_left();
}

async fn watch_to_end() {
    let client = usual();
    let watch = client.watch("p", &ask("backup"));
    check_history(&watch.try_collect::<Vec<_>>().await.unwrap());
    none_left();
}

/// A watch that goes on after what the runner is asked to do.
async fn taken_up(client: &Client, line: &str, answer: &str) {
    let mut watch = pin!(client.watch("p", "endless"));
    let first = watch.next().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Job(_))), "{first:?}");
    assert_eq!(ask(line), answer);
    let begun = SystemTime::now();
    loop {
        let next = watch.next().await.unwrap().unwrap();
        assert!(matches!(next.event, Some(Event::Heartbeat(_))), "{next:?}");
        assert_eq!(next.resume_token, first.resume_token);
        if SystemTime::try_from(next.observe_time.unwrap()).unwrap() > begun {
            return;
        }
    }
}

async fn watch_resume() {
    let client = usual();
    taken_up(&client, "restart", "restarted").await;
    let told: Vec<_> = client.watch("p", EXAMPLE).try_collect().await.unwrap();
    let again = watch_once(&client, EXAMPLE, &told[0].resume_token, LONG).await.unwrap();
    assert_eq!(again.try_collect::<Vec<_>>().await.unwrap(), []);
    none_left();
}

async fn watch_pushback() {
    let client = client("JOBGATE_ADDRESS", "-watch-pushback");
    let begun = Instant::now();
    let first = pin!(client.watch("p", "pushback")).next().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Job(_))), "{first:?}");
    assert!(begun.elapsed() > PAUSE, "did not wait");
}

async fn gzip() {
    let stub = usual().stub.send_compressed(CompressionEncoding::Gzip);
    let mut stub = stub.accept_compressed(CompressionEncoding::Gzip);
    let job = stub.get_job(request(&"z".repeat(128))).await.unwrap().into_inner();
    assert_eq!(job.status(), JobStatus::Running);
    let large = stub.get_job(request("large")).await.unwrap();
    assert_eq!(large.metadata().get("grpc-encoding").unwrap(), "gzip");
    check_large(&large.into_inner());
}

async fn metadata() {
    let mut call = Request::new(request(EXAMPLE));
    let bearer = format!("Bearer {}", variable("JOBGATE_TOKEN"));
    let metadata = call.metadata_mut();
    metadata.insert("authorization", bearer.parse().unwrap());
    metadata.insert("x-request-id", MetadataValue::from_static("interop"));
    metadata.insert("x-long", "l".repeat(4000).parse().unwrap());
    metadata.insert_bin("x-odd-bin", MetadataValue::from_bytes(&[0x00, 0xff, 0xab]));
    let answer = JobServiceClient::new(channel()).get_job(call).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "interop");
    check_example(&answer.into_inner());
}

async fn goaway() {
    let client = client("JOBGATE_AGING_ADDRESS", "");
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        check_example(&client.get("p", EXAMPLE).await.unwrap());
    }
}

async fn pushback() {
    let client = client("JOBGATE_ADDRESS", "-pushback");
    let begun = Instant::now();
    client.get("p", "pushback").await.unwrap();
    assert!(begun.elapsed() > PAUSE, "did not wait");
}

async fn soak() {
    let stub = usual().stub;
    let calls = async || {
        for _ in 0..100 {
            let answer = stub.clone().get_job(request(EXAMPLE)).await;
            check_example(&answer.unwrap().into_inner());
        }
    };
    future::join_all((0..10).map(|_| calls())).await;
}

const DROPPED: &str = ": tonic cancels what is dropped, and nobody is left to be told CANCELLED";

/// Plays a scenario, and tells what there is to note.
async fn play(name: &str) -> &'static str {
    match name {
        "example_job" => check_example(&usual().get("p", EXAMPLE).await.unwrap()),
        "entity_shapes" => check_entities(&usual().get("p", "entities").await.unwrap()),
        "field_presence" => {
            for (job, set) in [("absent", false), ("blank", false), ("nested", true)] {
                check_presence(&usual().get("p", job).await.unwrap(), set);
            }
        }
        "sub_jobs" => check_sub_jobs(&usual().get("p", "nested").await.unwrap()),
        "large_job" => check_large(&usual().get("p", "large").await.unwrap()),
        "error_codes" => error_codes().await,
        "credentials_missing" => {
            let mut stub = JobServiceClient::new(channel());
            let refused = stub.get_job(request(EXAMPLE)).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert_eq!(reason(&refused).unwrap(), "CREDENTIALS_MISSING");
        }
        "call_credentials" => {
            let authority = fs::read_to_string(variable("JOBGATE_CA")).unwrap();
            let endpoint = tls(&variable("JOBGATE_TLS_ADDRESS"), Some(&authority)).unwrap();
            let client = Client::new(&endpoint, &variable("JOBGATE_TOKEN")).unwrap();
            check_example(&client.get("p", EXAMPLE).await.unwrap());
        }
        "special_message" => {
            let refused = usual().get("p", "message").await.unwrap_err();
            assert_eq!(refused.code(), Code::Aborted);
            assert!(refused.message().contains(&table("message.txt")[0]), "{refused}");
        }
        "pushback" => {
            pushback().await;
            return ": tonic itself repeats no calls; the snippet does, as RetryInfo says";
        }
        "deadline" => deadline().await,
        "cancel_after_begin" => {
            cancel_after_begin().await;
            return DROPPED;
        }
        "cancel_after_first_response" => {
            cancel_after_first_response().await;
            return DROPPED;
        }
        "watch_to_end" => watch_to_end().await,
        "watch_resume" => watch_resume().await,
        "watch_resume_killed" => taken_up(&usual(), "kill", "killed").await,
        "watch_silent" => {
            taken_up(&client("JOBGATE_RELAY_ADDRESS", ""), "silence", "silent").await;
        }
        "watch_pushback" => watch_pushback().await,
        "gzip" => gzip().await,
        "unimplemented_method" => {
            let refused = services::call("/jobgate.v1.JobService/NoSuchMethod").await;
            assert_eq!(refused.code(), Code::Unimplemented);
            assert_eq!(reason(&refused).unwrap(), "METHOD_NOT_IMPLEMENTED");
        }
        "unimplemented_service" => {
            let refused = services::call("/jobgate.v1.NoSuchService/GetJob").await;
            assert_eq!(refused.code(), Code::Unimplemented);
        }
        "metadata" => metadata().await,
        "goaway" => {
            goaway().await;
            return ": tonic may fail a call that meets a GOAWAY unsent; the snippet repeats it";
        }
        "soak" => soak().await,
        "health" => services::health().await,
        "reflection" => services::reflection().await,
        other => panic!("no scenario {other}"),
    }
    ""
}

#[tokio::main]
async fn main() {
    for name in env::args().skip(1) {
        match AssertUnwindSafe(play(&name)).catch_unwind().await {
            Ok(note) => println!("ok {name}{note}"),
            Err(problem) => {
                let text = problem.downcast_ref::<String>().map(String::as_str);
                let text = text.or(problem.downcast_ref().copied()).unwrap_or_default();
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                println!("failed {name}: {text}");
            }
        }
    }
}
