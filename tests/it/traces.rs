//! Traces: what is a part of what, and that they hinder nobody.

use std::time::Duration;

use jobgate::{
    proto::v1::job_service_client::JobServiceClient, server, telemetry::Export,
    upstream::SecretSource,
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{
    Gateway, Reply, Upstream,
    account::Account,
    collector::Collector,
    gateway::{TOKEN, channel, config},
    get_job,
    program::{Server, jobgate},
    watch_job,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const GET: &str = "jobgate.v1.JobService/GetJob";
const WATCH: &str = "jobgate.v1.JobService/WatchJob";
const REQUEST: &str = "GET /v1/{project_id}/jobs/{job_id}";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// A call that is part of a trace.
fn traced<T>(mut request: tonic::Request<T>, flags: &str) -> tonic::Request<T> {
    request.metadata_mut().insert("traceparent", traceparent(flags).parse().unwrap());
    request.metadata_mut().insert("tracestate", "vendor=1".parse().unwrap());
    request
}

/// A gateway whose spans go to the collector.
async fn gateway(upstream: &Upstream, collector: &Collector, share: &str) -> (Gateway, Export) {
    let export = collector.export(share);
    let config = server::Config { tracer: export.tracer(), ..config(upstream.address) };
    (Gateway::with(config).await, export)
}

/// What a request upstream says of its trace.
fn parent(request: &str) -> &str {
    request.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap_or("none")
}

#[tokio::test]
async fn a_request_is_a_part_of_the_call_and_the_call_of_its_callers_trace() {
    let (upstream, collector) = (Upstream::new([Reply::job()]).await, Collector::new().await);
    let (gateway, export) = gateway(&upstream, &collector, "0").await;
    gateway.send(traced(get_job(), "01")).await.unwrap();
    let address = gateway.address;
    gateway.stopped().await;
    export.finish().await;

    assert!(!format!("{:?}", collector.all()).contains(TOKEN));
    let [call, request] = [GET, REQUEST].map(|name| collector.named(name).remove(0));
    assert_eq!(collector.count(), 2);
    assert_eq!((call.trace.as_str(), call.parent.as_str()), (TRACE, CALLER));
    assert_eq!(call.kind, SpanKind::Server);
    assert_eq!(call.attributes["rpc.system.name"], "grpc");
    assert_eq!(call.attributes["rpc.method"], GET);
    assert_eq!(call.attributes["rpc.status_code"], "OK");
    assert_eq!(call.attributes["client.address"], address.ip().to_string());
    assert_eq!(call.attributes.get("error.type"), None);
    assert_eq!(call.resource["service.name"], "jobgate");

    assert_eq!((&request.trace, &request.parent), (&call.trace, &call.id));
    assert_eq!(request.kind, SpanKind::Client);
    assert_eq!(request.attributes["http.request.method"], "GET");
    assert_eq!(request.attributes["http.response.status_code"], "200");
    assert_eq!(request.attributes["server.port"], upstream.address.port().to_string());
    let url = format!("http://{}/v1/p1/jobs/j1", upstream.address);
    assert_eq!(request.attributes["url.full"], url);

    let sent = &upstream.requests()[0];
    assert_eq!(parent(sent), format!("00-{TRACE}-{}-01", request.id));
    assert!(sent.contains("tracestate: vendor=1\r\n"), "{sent}");
    assert_eq!(sent.matches("traceparent").count(), 1);
}

#[tokio::test]
async fn each_attempt_has_a_span_and_errors_are_told() {
    let upstream = Upstream::new([Reply::json(503, "{}"), Reply::json(404, "{}")]).await;
    let collector = Collector::new().await;
    let (gateway, export) = gateway(&upstream, &collector, "1").await;
    gateway.get().await.unwrap_err();
    let headers = gateway.raw("/made.up/Method", &[], axum::body::Body::empty()).await;
    assert_eq!(headers["grpc-status"], "12");
    gateway.stopped().await;
    export.finish().await;

    let call = collector.named(GET).remove(0);
    assert_eq!(call.parent, "");
    assert_eq!(call.attributes["rpc.status_code"], "NOT_FOUND");
    assert_eq!(call.attributes["jobgate.reason"], "JOB_NOT_FOUND");
    let requests = collector.named(REQUEST);
    for (request, error) in requests.iter().zip(["503", "404"]) {
        assert_eq!(request.parent, call.id);
        assert_eq!(request.attributes["error.type"], error);
    }
    assert_eq!(requests[0].attributes.get("http.request.resend_count"), None);
    assert_eq!(requests[1].attributes["http.request.resend_count"], "1");
    let other = collector.named("grpc").remove(0);
    assert_eq!(other.attributes["rpc.method"], "_OTHER");
    assert_eq!(other.attributes["rpc.method_original"], "/made.up/Method");
    assert_eq!(other.attributes["error.type"], "UNIMPLEMENTED");
}

#[tokio::test]
async fn a_poll_is_a_trace_of_its_own_on_account_of_its_watchers() {
    let states = (1..=4).map(|state| Reply::state("RUNNING", &state.to_string()));
    let upstream = Upstream::new(states.chain([Reply::state("SUCCESS", "end")])).await;
    let collector = Collector::new().await;
    let export = collector.export("0");
    let mut config = server::Config { tracer: export.tracer(), ..config(upstream.address) };
    config.grpc.watch.poll_min = Duration::from_millis(1);
    let gateway = Gateway::with(config).await;
    let mut client = gateway.client().await;
    let mut watch = client.watch_job(traced(watch_job(), "01")).await.unwrap().into_inner();
    while watch.message().await.unwrap().is_some() {}
    drop((watch, client));
    gateway.stopped().await;
    export.finish().await;

    let watch = collector.named(WATCH).remove(0);
    let (polls, requests) = (collector.named("poll"), collector.named(REQUEST));
    // The first was made in the name of the call itself.
    assert_eq!((polls.len(), requests.len(), upstream.count()), (4, 5, 5));
    let own = requests.iter().filter(|request| request.parent == watch.id);
    assert_eq!(own.count(), 1);
    for poll in polls {
        assert_ne!(poll.trace, TRACE);
        assert_eq!((poll.parent.as_str(), poll.kind), ("", SpanKind::Internal));
        assert_eq!(poll.links, [watch.id.as_str()]);
        let request = requests.iter().find(|request| request.parent == poll.id).unwrap();
        assert_eq!(request.trace, poll.trace);
    }
}

#[tokio::test]
async fn what_the_caller_does_not_record_is_not_recorded_and_goes_on_all_the_same() {
    let (upstream, collector) = (Upstream::new([Reply::job()]).await, Collector::new().await);
    let (gateway, export) = gateway(&upstream, &collector, "1").await;
    gateway.send(traced(get_job(), "00")).await.unwrap();
    gateway.stopped().await;
    export.finish().await;
    assert_eq!(collector.count(), 0);
    let requests = upstream.requests();
    let sent = parent(&requests[0]);
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    assert!(!sent.contains(CALLER), "{sent}");
}

#[tokio::test]
async fn a_renewal_is_a_trace_of_its_own() {
    let (account, collector) = (Account::new("right").await, Collector::new().await);
    let export = collector.export("1");
    let mut config = server::Config { tracer: export.tracer(), ..config(account.address) };
    let password = jobgate::upstream::Secret::line(b"right").unwrap();
    config.upstream.credentials = account.login(SecretSource::Value(password));
    let gateway = Gateway::with(config).await;
    gateway.get().await.unwrap();
    gateway.stopped().await;
    export.finish().await;
    let renewal = collector.named("renew credentials").remove(0);
    let request = collector.named("POST /v3/auth/tokens").remove(0);
    assert_eq!((renewal.parent.as_str(), &request.parent), ("", &renewal.id));
    assert!(!format!("{renewal:?} {request:?}").contains("right"));
}

#[tokio::test]
async fn a_collector_that_never_answers_hinders_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut collector = Collector::new().await;
    collector.address = silent.local_addr().unwrap();
    let upstream = Upstream::new([Reply::job()]).await;
    let (gateway, export) = gateway(&upstream, &collector, "1").await;
    gateway.get().await.unwrap();
    gateway.stopped().await;
    // Far above its own limit.
    tokio::time::timeout(Duration::from_mins(1), export.finish()).await.unwrap();
}

/// The only call in a log.
fn call(log: &str) -> Value {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.into_iter().find(|line| line["target"] == "jobgate::access").unwrap()
}

#[tokio::test]
async fn the_log_names_the_trace_of_a_call() {
    let upstream = Upstream::new([Reply::job()]).await;
    let get = async |server: Server, request| {
        let mut client = JobServiceClient::new(channel(server.address).await);
        client.get_job(request).await.unwrap();
        drop(client);
        server.signal("-TERM");
        call(&server.end().await.1)
    };
    let address = upstream.address.to_string();
    let plain = get(Server::new(&address, &[]).await, get_job()).await;
    assert_eq!((plain.get("trace_id"), plain.get("span_id")), (None, None));
    // Without traces of our own, the caller's.
    let callers = get(Server::new(&address, &[]).await, traced(get_job(), "01")).await;
    assert_eq!((&callers["trace_id"], &callers["span_id"]), (&TRACE.into(), &CALLER.into()));
    assert_eq!(parent(&upstream.requests()[1]), traceparent("01"));

    // Each way to name the collector. All is sent before the program ends.
    let collector = Collector::new().await;
    let endpoint = format!("http://{}", collector.address);
    let flag: &[_] = &["--otlp-endpoint", &endpoint];
    let variable: &[_] = &[("JOBGATE_OTLP_ENDPOINT", endpoint.as_str())];
    let standard: &[_] = &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    for (flags, env) in [(flag, &[][..]), (&[], variable), (&[], standard)] {
        let server = Server::with(&address, flags, env).await;
        let own = get(server, traced(get_job(), "01")).await;
        let span = collector.named(GET).pop().unwrap();
        assert_eq!((&own["trace_id"], &own["span_id"]), (&TRACE.into(), &span.id.into()));
    }
    assert_eq!(collector.count(), 6);
}

#[tokio::test]
async fn what_is_no_collector_or_no_share_is_told_at_the_start_and_by_a_check() {
    let options = ["--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"];
    let standard = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (flags, variable, told) in [
        (&["--otlp-endpoint", "collector:4317"][..], "", "--otlp-endpoint"),
        (&["--trace-sample", "2"], "", "--trace-sample"),
        (&["--trace-sample", "10%"], "", "--trace-sample"),
        (&[], "collector:4317", standard),
    ] {
        for name in ["serve", "check"] {
            let mut command = jobgate(&[&[name], &options[..], flags].concat());
            let output = command.env(standard, variable).output().await.unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}: {error}");
            assert!(error.contains(told), "{name}: {error}");
        }
    }
}
