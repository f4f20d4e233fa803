//! Metrics that are sent to a collector.

use std::collections::BTreeMap;

use jobgate::proto::v1::job_service_client::JobServiceClient;
use opentelemetry_proto::tonic::{common::v1::KeyValue, metrics::v1::metric::Data};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{
    Reply, Upstream,
    collector::{self, Collector, MetricsSeen},
    gateway::channel,
    get_job,
    program::{Server, jobgate},
};

const GET: &str = "jobgate.v1.JobService/GetJob";

/// A gateway that sends its metrics to an address.
async fn server(upstream: &Upstream, collector: &str, every: &str) -> Server {
    let endpoint = format!("http://{collector}");
    let flags = ["--otlp-endpoint", &endpoint, "--otlp-metrics-interval", every];
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=the%20secret");
    Server::with(&upstream.address.to_string(), &flags, &[headers]).await
}

/// Has it answer one call and end; returns its log.
async fn one_call(server: Server) -> String {
    let mut client = JobServiceClient::new(channel(server.address).await);
    client.get_job(get_job()).await.unwrap();
    drop(client);
    server.signal("-TERM");
    let (status, log) = server.end().await;
    assert!(status.success(), "{log}");
    log
}

#[tokio::test]
async fn the_last_metrics_are_sent_before_the_end() {
    let (upstream, collector) = (Upstream::new([Reply::job()]).await, Collector::new().await);
    one_call(server(&upstream, &collector.address.to_string(), "1h").await).await;
    let told = collector.metrics(1).await;
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told.headers.get("x-tenant").unwrap(), "the secret");
    assert_eq!(told.resource["service.name"], "jobgate");
    assert_eq!(told.resource["service.version"], env!("CARGO_PKG_VERSION"));

    let calls = &told.metrics["rpc.server.call.duration"];
    assert_eq!(calls.unit, "s");
    let Some(Data::Histogram(histogram)) = &calls.data else { panic!("{calls:?}") };
    let is = |attributes: &[KeyValue], key: &str, value: &str| {
        collector::attributes(attributes.to_vec()).get(key).is_some_and(|it| it == value)
    };
    let mut points = histogram.data_points.iter();
    let calls = points.find(|it| is(&it.attributes, "rpc.method", GET)).unwrap();
    assert!(is(&calls.attributes, "rpc.status_code", "OK"), "{calls:?}");
    assert_eq!((calls.count, calls.bucket_counts.iter().sum::<u64>()), (1, 1));
    assert_eq!(calls.bucket_counts.len(), calls.explicit_bounds.len() + 1);
    assert!(calls.start_time_unix_nano < calls.time_unix_nano);

    let requests = &told.metrics["http.client.request.duration"];
    let Some(Data::Histogram(histogram)) = &requests.data else { panic!("{requests:?}") };
    let status = "http.response.status_code";
    assert!(
        histogram.data_points.iter().any(|it| is(&it.attributes, status, "200")),
        "{requests:?}"
    );
    for ours in ["jobgate.watchers", "jobgate.upstream_fetches", "process.cpu"] {
        assert!(told.metrics.contains_key(ours), "{ours}: {:?}", told.metrics.keys());
    }
}

#[tokio::test]
async fn they_are_sent_again_and_again() {
    let (upstream, collector) = (Upstream::new([Reply::job()]).await, Collector::new().await);
    collector.reject(3);
    let mut server = server(&upstream, &collector.address.to_string(), "1s").await;
    let told = collector.metrics(2).await;
    assert!(told[1].metrics.contains_key("jobgate.build_info"));
    let instance = |told: &MetricsSeen| told.resource["service.instance.id"].clone();
    assert_eq!(instance(&told[0]), instance(&told[1]));
    let line = server.logs("did not like").await;
    assert!(line.contains("\"rejected\":3"), "{line}");
    // It says what it was sent, which stays out of the log.
    assert!(line.contains("too old for [redacted]") && !line.contains("secret"), "{line}");
}

#[tokio::test]
async fn a_collector_that_never_answers_or_is_not_there_hinders_no_call_and_no_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let upstream = Upstream::new([Reply::job()]).await;
    let log = one_call(server(&upstream, "127.0.0.1:9", "1h").await).await;
    let line = log.lines().find(|line| line.contains("metrics could not be sent")).unwrap();
    let fields: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
    assert_eq!(fields["message"], "metrics could not be sent", "{line}");
    assert!(fields["error"].as_str().unwrap().contains("Connection refused"), "{line}");
    let log = one_call(server(&upstream, &silent, "1h").await).await;
    assert!(log.contains("the last metrics may not have been sent"), "{log}");
}

#[tokio::test]
async fn what_can_not_be_is_told_at_the_start_and_by_a_check() {
    let options = ["--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"];
    let flag = "--otlp-metrics-interval";
    for (flags, told) in [
        (&[flag, "60s"][..], "--otlp-metrics-interval needs --otlp-endpoint or"),
        (&[flag, "999ms", "--otlp-endpoint", "http://127.0.0.1:9"], "must be a second at least"),
        (&[flag, "often"], "not a duration"),
    ] {
        for name in ["serve", "check"] {
            let args = [&[name], &options[..], flags].concat();
            let output = jobgate(&args).output().await.unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}: {error}");
            assert!(error.contains(told), "{name}: {error}");
        }
    }
}
