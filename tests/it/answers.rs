//! What callers get for what the upstream answers.

use jobgate::proto::v1::JobStatus;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{Gateway, Reply, Upstream, reason};

#[tokio::test]
async fn a_job_comes_through_whole() {
    let upstream = Upstream::new([Reply::json(
        200,
        r#"{"status":"SUCCESS","entities":{"backup_id":"b","size":40,"none":null},"job_id":"j1",
            "job_type":"bksCreateBackup","begin_time":"2016-01-28T16:14:09.466Z",
            "end_time":"2016-01-28 16:25:27.690","error_code":null,"fail_reason":"",
            "sub_jobs":[{"status":"FAIL","job_id":"s1","error_code":"VolumeBackup.0064",
                         "sub_jobs":[{"status":"init","job_id":"s2"}]}]}"#,
    )])
    .await;
    let gateway = Gateway::new(&upstream).await;
    let job = gateway.get().await.unwrap();
    assert_eq!((job.job_id.as_str(), job.job_type.as_str()), ("j1", "bksCreateBackup"));
    assert_eq!((job.status(), job.status_text.as_str()), (JobStatus::Success, "SUCCESS"));
    assert_eq!(job.entities["backup_id"], "b");
    assert_eq!(job.entities["size"], "40");
    assert_eq!(job.entities["none"], "");
    assert_eq!(job.begin_time.unwrap().to_string(), "2016-01-28T16:14:09.466Z");
    assert_eq!(job.end_time.unwrap().to_string(), "2016-01-28T16:25:27.690Z");
    assert_eq!((job.error_code, job.fail_reason), (None, None));
    let sub = &job.sub_jobs[0];
    assert_eq!((sub.status(), sub.error_code()), (JobStatus::Fail, "VolumeBackup.0064"));
    assert_eq!(sub.sub_jobs[0].status(), JobStatus::Init);
}

#[tokio::test]
async fn errors_are_told_by_the_bodys_code_first() {
    for (http, body, code, expected) in [
        (404, r#"{"error":{"code":"common.0011","message":"m"}}"#, Code::NotFound, "JOB_NOT_FOUND"),
        (400, r#"{"error":{"code":"Common.0011","message":"m"}}"#, Code::NotFound, "JOB_NOT_FOUND"),
        (404, r#"{"itemNotFound":{"code":404,"message":"m"}}"#, Code::NotFound, "JOB_NOT_FOUND"),
        (404, "", Code::NotFound, "JOB_NOT_FOUND"),
        (404, "<html>no</html>", Code::Unimplemented, "UPSTREAM_ROUTE_NOT_FOUND"),
        (
            404,
            r#"{"error_code":"APIGW.0101","error_msg":"m"}"#,
            Code::Unimplemented,
            "UPSTREAM_ROUTE_NOT_FOUND",
        ),
        (
            400,
            r#"{"error":{"code":"Common.0013","message":"m"}}"#,
            Code::Unauthenticated,
            "CREDENTIALS_REJECTED",
        ),
        (
            401,
            r#"{"error":{"code":401,"message":"m","title":"t"}}"#,
            Code::Unauthenticated,
            "CREDENTIALS_REJECTED",
        ),
        (
            400,
            r#"{"error":{"code":"Common.0018","message":"m"}}"#,
            Code::PermissionDenied,
            "PERMISSION_DENIED",
        ),
        (
            405,
            r#"{"error_code":"APIG.0501","error_msg":"m"}"#,
            Code::ResourceExhausted,
            "UPSTREAM_QUOTA_EXCEEDED",
        ),
        (
            202,
            r#"{"error":{"code":"Common.0024","message":"Flow limit exceeded."}}"#,
            Code::ResourceExhausted,
            "UPSTREAM_THROTTLED",
        ),
        (200, r#"{"error":{"code":"common.0011","message":"m"}}"#, Code::NotFound, "JOB_NOT_FOUND"),
        (
            400,
            r#"{"error":{"code":"Common.0025","message":"m"}}"#,
            Code::Unavailable,
            "UPSTREAM_UNAVAILABLE",
        ),
        (
            400,
            r#"{"error":{"code":"Ecs.1000","message":"x {\"itemNotFound\":{\"code\":404}} y"}}"#,
            Code::NotFound,
            "JOB_NOT_FOUND",
        ),
        (
            200,
            r#"{"timestamp":1,"status":401,"error":"Unauthorized","path":"/v1/p1/jobs/j1"}"#,
            Code::Unauthenticated,
            "CREDENTIALS_REJECTED",
        ),
        (
            404,
            r#"{"kind":"Status","status":"Failure","message":"m","reason":"NotFound","code":404}"#,
            Code::Unimplemented,
            "UPSTREAM_ROUTE_NOT_FOUND",
        ),
        (404, r#"{"unheard":"of"}"#, Code::Unimplemented, "UPSTREAM_ROUTE_NOT_FOUND"),
        (404, "{}", Code::NotFound, "JOB_NOT_FOUND"),
        (409, "{}", Code::Aborted, "UPSTREAM_CONFLICT"),
        (410, "{}", Code::NotFound, "JOB_EXPIRED"),
        (204, "", Code::Internal, "UPSTREAM_MALFORMED_RESPONSE"),
        (200, "", Code::Internal, "UPSTREAM_MALFORMED_RESPONSE"),
        (200, "<html>log in</html>", Code::Internal, "UPSTREAM_MALFORMED_RESPONSE"),
        (200, "[]", Code::Internal, "UPSTREAM_MALFORMED_RESPONSE"),
        (200, r#"{"job_id":"j1"}"#, Code::Internal, "UPSTREAM_MALFORMED_RESPONSE"),
    ] {
        let upstream = Upstream::new([Reply::json(http, body)]).await;
        // A 204 has no body and no length.
        let upstream = if http == 204 {
            Upstream::new([Reply::Bytes(b"HTTP/1.1 204 No\r\n\r\n".to_vec())]).await
        } else {
            upstream
        };
        let gateway = Gateway::new(&upstream).await;
        let status = gateway.get().await.expect_err(body);
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{http} {body}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["upstream_http_status"], http.to_string());
    }
}

#[tokio::test]
async fn an_error_has_all_details_and_nothing_internal() {
    let headers = [
        ("content-type", "application/json"),
        ("x-request-id", "req-from-header"),
        ("retry-after", "7"),
        ("set-cookie", "session=secret"),
    ];
    let body = br#"{"error_msg":"see http://10.0.0.1/x: gAAAAAB-the-callers-own-token",
                    "error_code":"APIGW.0308","request_id":"req-from-body"}"#;
    let upstream = Upstream::new([Reply::with(429, &headers, body)]).await;
    let gateway = Gateway::new(&upstream).await;
    let status = gateway.get().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the upstream throttles: see [url] [token]");
    assert_eq!(status.get_details_request_info().unwrap().request_id, "req-from-header");
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(delay.as_secs(), 7);
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "7000");
    assert!(status.metadata().get("set-cookie").is_none());
    assert_eq!(upstream.count(), 1, "a throttled call must not be repeated");
}

#[tokio::test]
async fn a_blank_header_does_not_hide_the_request_id_in_the_body() {
    let body = br#"{"error_msg":"m","error_code":"APIGW.0301","request_id":"req-from-body"}"#;
    let upstream = Upstream::new([Reply::with(401, &[("x-request-id", " ")], body)]).await;
    let status = Gateway::new(&upstream).await.get().await.unwrap_err();
    assert_eq!(status.get_details_request_info().unwrap().request_id, "req-from-body");
}

#[tokio::test]
async fn an_error_beside_a_job_is_the_jobs() {
    for body in [
        r#"{"status":"RUNNING","job_id":"j1","error":{"code":"x"}}"#,
        r#"{"status":"RUNNING","error":"none so far"}"#,
        r#"{"status":"RUNNING","error":false}"#,
    ] {
        let upstream = Upstream::new([Reply::json(200, body)]).await;
        assert_eq!(Gateway::new(&upstream).await.get().await.expect(body).status_text, "RUNNING");
    }
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let target = Upstream::new([Reply::job()]).await;
    let location = format!("http://{}/v1/p1/jobs/j1", target.address);
    for http in [301, 302, 303, 307, 308] {
        let upstream = Upstream::new([Reply::with(http, &[("location", &location)], b"")]).await;
        let status = Gateway::new(&upstream).await.get().await.unwrap_err();
        assert_eq!(reason(&status), "UPSTREAM_REDIRECT");
        assert_eq!((upstream.count(), target.count()), (1, 0));
    }
}
