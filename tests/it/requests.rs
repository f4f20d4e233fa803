//! What is taken from callers and what goes upstream.

use jobgate::proto::v1::GetJobRequest;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::support::{Gateway, Reply, TOKEN, Upstream, get_job};

#[tokio::test]
async fn bad_ids_are_named_and_send_nothing_upstream() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let long = "a".repeat(129);
    for bad in ["", ".", "..", "%2e%2e", "a/../../x", "a?b=c", "a b", "jöb", &long] {
        for (project, job, field) in [(bad, "j", "project_id"), ("p", bad, "job_id")] {
            let message = GetJobRequest { project_id: project.into(), job_id: job.into() };
            let mut request = Request::new(message);
            request.metadata_mut().insert("x-auth-token", TOKEN.parse().unwrap());
            let status = gateway.send(request).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{bad}");
            let violations = status.get_details_bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, field);
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn only_what_belongs_upstream_goes_there() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut request = get_job();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (key, value) in [
        ("x-request-id", "my-id"),
        ("traceparent", trace),
        ("tracestate", "a=b"),
        ("cookie", "c"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-project-id", "other"),
        ("accept-language", "de"),
    ] {
        request.metadata_mut().insert(key, value.parse().unwrap());
    }
    gateway.send(request).await.unwrap();
    let requests = upstream.requests();
    let (line, headers) = requests[0].split_once("\r\n").unwrap();
    assert_eq!(line, "GET /v1/p1/jobs/j1 HTTP/1.1");
    let mut headers: Vec<_> = headers.trim().lines().map(str::to_lowercase).collect();
    headers.sort_unstable();
    let mut expected = [
        "accept: application/json".to_owned(),
        format!("host: {}", upstream.address),
        format!("traceparent: {trace}"),
        "tracestate: a=b".to_owned(),
        concat!("user-agent: jobgate/", env!("CARGO_PKG_VERSION")).to_owned(),
        format!("x-auth-token: {}", TOKEN.to_lowercase()),
        "x-request-id: my-id".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn a_request_id_is_made_when_none_fits() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await;
    let mut request = get_job();
    request.metadata_mut().insert("x-request-id", "not a request id".parse().unwrap());
    let response = client.get_job(request).await.unwrap();
    let id = response.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    assert!(upstream.requests()[0].contains(&format!("x-request-id: {id}\r\n")));
}

#[tokio::test]
async fn unknown_methods_are_unimplemented() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut grpc = tonic::client::Grpc::new(gateway.channel().await);
    for path in ["/jobgate.v1.JobService/NoSuch", "/no.such.Service/Method"] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<GetJobRequest, GetJobRequest>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let status = grpc.unary(get_job(), path, codec).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn compressed_requests_are_read() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let client = gateway.client().await;
    let mut client = client.send_compressed(tonic::codec::CompressionEncoding::Gzip);
    assert_eq!(client.get_job(get_job()).await.unwrap().into_inner().job_id, "j1");
}
