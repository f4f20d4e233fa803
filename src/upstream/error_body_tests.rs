use super::*;

fn read(json: &str) -> Option<ErrorBody> {
    ErrorBody::read(&Object::parse(json).expect(json))
}

fn error(code: &str, message: &str) -> ErrorBody {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (code, message) = (some(code), some(message));
    ErrorBody { documented: true, code, message, ..ErrorBody::default() }
}

#[test]
fn every_shape_gives_its_code_and_message() {
    let plain = [
        // The service's own.
        (
            r#"{"error":{"message":"query job fail","code":"common.0011"}}"#,
            "common.0011",
            "query job fail",
        ),
        (
            r#"{"error":{"message":"m","code":"c","details":[{"message":"x","code":"y"}]}}"#,
            "c",
            "m",
        ),
        (r#"{"error":{"code":"111401001","message":"m","ext_message":null}}"#, "111401001", "m"),
        // Flat.
        (r#"{"code":"VolumeBackup.0043","message":"m"}"#, "VolumeBackup.0043", "m"),
        // IAM's and CSBS's own.
        (r#"{"error_msg":"m","error_code":"AS.0001"}"#, "AS.0001", "m"),
        // IAM with unset fields inside.
        (r#"{"error":{"error_code":null,"error_msg":null,"code":"c","message":"m"}}"#, "c", "m"),
        // SFS Turbo.
        (r#"{"errCode":"SFS.TURBO.0019","errMsg":"m"}"#, "SFS.TURBO.0019", "m"),
        // Half of a shape.
        (r#"{"error_code":"c"}"#, "c", ""),
        (r#"{"error":{}}"#, "", ""),
        (r#"{"error":{"title":"Unauthorized"}}"#, "", "Unauthorized"),
    ];
    for (json, code, message) in plain {
        assert_eq!(read(json), Some(error(code, message)), "{json}");
    }
}

#[test]
fn what_stands_in_between_has_shapes_of_its_own() {
    for (json, code, message, status) in [
        // Kong, AWS.
        (
            r#"{"message":"no Route matched with those values"}"#,
            "",
            "no Route matched with those values",
            None,
        ),
        // OAuth proxies.
        (r#"{"error":"invalid_request"}"#, "", "invalid_request", None),
        // Spring.
        (
            r#"{"timestamp":1,"status":404,"error":"Not Found","path":"/v1"}"#,
            "",
            "Not Found",
            Some(404),
        ),
        // Kubernetes.
        (r#"{"kind":"Status","status":"Failure","message":"m","code":404}"#, "404", "m", Some(404)),
    ] {
        let expected = ErrorBody { documented: false, status, ..error(code, message) };
        assert_eq!(read(json), Some(expected), "{json}");
    }
}

#[test]
fn numbers_are_codes_too() {
    let keystone = r#"{"error":{"message":"Unauthorized.","code":401,"title":"Unauthorized"}}"#;
    let expected = ErrorBody { status: Some(401), ..error("401", "Unauthorized.") };
    assert_eq!(read(keystone), Some(expected));
    let text = r#"{"error":{"message":"m","code":"403"}}"#;
    assert_eq!(read(text), Some(ErrorBody { status: Some(403), ..error("403", "m") }));
}

#[test]
fn the_gateways_shape_names_the_request() {
    for json in [
        r#"{"error_msg":"m","error_code":"APIGW.0301","request_id":"r"}"#,
        r#"{"request_id":"r","error_code":"APIGW.0301","error_msg":"m"}"#,
        r#"{"error":{"code":"APIGW.0301","message":"m"},"request_id":"r"}"#,
    ] {
        let expected = ErrorBody { request_id: Some("r".into()), ..error("APIGW.0301", "m") };
        assert_eq!(read(json), Some(expected), "{json}");
    }
}

#[test]
fn cinders_faults_are_known_by_name() {
    for (name, status) in [
        ("badRequest", 400),
        ("unauthorized", 401),
        ("forbidden", 403),
        ("itemNotFound", 404),
        ("badMethod", 405),
        ("conflictingRequest", 409),
        ("overLimit", 413),
        ("overLimitFault", 413),
        ("badMediaType", 415),
        ("computeFault", 500),
        ("notImplemented", 501),
        ("serviceUnavailable", 503),
    ] {
        let json = format!(r#"{{"{name}":{{"code":{status},"message":"m"}}}}"#);
        let read = read(&json).expect(&json);
        assert_eq!(read.code.as_deref(), Some(name));
        assert_eq!(read.status, Some(status));
        assert_eq!(read.message.as_deref(), Some("m"));
    }
    let own_code = read(r#"{"badRequest":{"code":"XXXX","message":"XXX"}}"#).unwrap();
    assert_eq!(own_code.code.as_deref(), Some("XXXX"));
    assert_eq!(own_code.status, Some(400));
    let wait = read(r#"{"overLimit":{"code":413,"message":"m","retryAfter":"12"}}"#).unwrap();
    assert_eq!(wait.retry_after, Some(Duration::from_secs(12)));
    let number = read(r#"{"overLimit":{"code":413,"message":"m","retryAfter":7}}"#).unwrap();
    assert_eq!(number.retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn an_error_inside_the_message_is_found() {
    let json = r#"{"error":{"code":"Ecs.1000","message":"nova said {\"itemNotFound\": {\"code\": 404, \"message\": \"gone\"}}"}}"#;
    let read = read(json).unwrap();
    assert_eq!(read.code.as_deref(), Some("Ecs.1000"));
    assert_eq!(read.inner_code.as_deref(), Some("itemNotFound"));
}

#[test]
fn what_has_nothing_of_an_error_is_none() {
    for json in ["{}", r#"{"error":null}"#, r#"{"a":1}"#, r#"{"a":{"b":1}}"#, r#"{"job_id":"x"}"#] {
        assert_eq!(read(json), None, "{json}");
    }
}
