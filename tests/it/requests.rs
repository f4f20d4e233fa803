//! What is taken from callers and what goes upstream.

use jobgate::proto::v1::{GetJobRequest, watch_job_response::Event};
use prost::Message as _;
use tonic::{Code, Request, codec::CompressionEncoding};
use tonic_types::StatusExt as _;

use crate::support::{
    Gateway, Reply, TOKEN, Upstream, gateway::GET_JOB, get_job, reason, watch_job,
};

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

/// A message on the wire.
fn framed(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &len[..], message].concat()
}

#[tokio::test]
async fn what_never_reaches_the_service_is_refused_like_everything_else() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let id = |text: &str| GetJobRequest { project_id: text.into(), ..GetJobRequest::default() };
    let large = framed(&id(&"a".repeat(70_000)).encode_to_vec());
    let unimplemented = (Code::Unimplemented, "METHOD_NOT_IMPLEMENTED");
    let invalid = (Code::InvalidArgument, "INVALID_REQUEST");
    for (path, body, expected) in [
        ("/jobgate.v1.JobService/NoSuch", framed(b""), unimplemented),
        ("/no.such.Service/Method", framed(b""), unimplemented),
        ("/", framed(b""), unimplemented),
        (GET_JOB, framed(b"\xff\xff\xff"), invalid),
        (GET_JOB, framed(b"\x0a\x02\xff\xfe"), invalid),
        (GET_JOB, Vec::new(), invalid),
        (GET_JOB, b"\x07\0\0\0\0".to_vec(), invalid),
        (GET_JOB, large, invalid),
    ] {
        let head = gateway.raw(path, &[], body.clone().into()).await;
        let status = tonic::Status::from_header_map(&head).unwrap();
        assert_eq!((status.code(), &*reason(&status)), expected, "{path} {status:?}");
        for inside in ["prost", "frame", "bytes", "wire", "flag"] {
            assert!(!status.message().contains(inside), "{}", status.message());
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn an_unknown_compression_is_answered_as_the_protocol_wants_it() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let head = gateway.raw(GET_JOB, &[("grpc-encoding", "br")], framed(b"").into()).await;
    assert_eq!(head["grpc-status"], "12");
    assert!(head["grpc-accept-encoding"].to_str().unwrap().contains("gzip"));
}

#[tokio::test]
async fn compressed_calls_are_read_and_answered_in_kind() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let client = gateway.client().await.send_compressed(CompressionEncoding::Gzip);
    let mut client = client.accept_compressed(CompressionEncoding::Gzip);
    let answer = client.get_job(get_job()).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(answer.into_inner().job_id, "j1");
    let watch = client.watch_job(watch_job()).await.unwrap();
    assert_eq!(watch.metadata().get("grpc-encoding").unwrap(), "gzip");
    let first = watch.into_inner().message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Job(job)) if job.job_id == "j1"));
}

#[tokio::test]
async fn who_only_takes_compression_is_not_given_it() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut client = gateway.client().await.accept_compressed(CompressionEncoding::Gzip);
    let answer = client.get_job(get_job()).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding"), None);
}
