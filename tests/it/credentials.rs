//! Where a token is taken from.

use tonic::Code;

use crate::support::{Gateway, Reply, TOKEN, Upstream, get_job, reason};

#[tokio::test]
async fn a_call_without_a_token_sends_nothing_upstream() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    for (key, value) in [
        ("x-other", "x"),
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("authorization", "Bearer "),
        ("authorization", "Bearer"),
        ("x-auth-token", ""),
    ] {
        let mut request = get_job();
        request.metadata_mut().remove("x-auth-token");
        request.metadata_mut().insert(key, value.parse().unwrap());
        let status = gateway.send(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{key}: {value}");
        assert_eq!(reason(&status), "CREDENTIALS_MISSING", "{key}: {value}");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_bearer_token_goes_upstream_as_x_auth_token() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let mut request = get_job();
        request.metadata_mut().remove("x-auth-token");
        let value = format!("{scheme} {TOKEN}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        gateway.send(request).await.unwrap();
        let sent = upstream.requests().pop().unwrap();
        assert!(sent.contains(&format!("x-auth-token: {TOKEN}\r\n")), "{sent}");
        assert!(!sent.contains("authorization"), "{sent}");
    }
}

#[tokio::test]
async fn two_tokens_are_one_too_many() {
    let upstream = Upstream::new([Reply::job()]).await;
    let mut request = get_job();
    request.metadata_mut().append("x-auth-token", "another".parse().unwrap());
    let status = Gateway::new(&upstream).await.send(request).await.unwrap_err();
    assert_eq!((status.code(), upstream.count()), (Code::InvalidArgument, 0));
}

#[tokio::test]
async fn a_token_may_be_as_long_as_the_api_takes() {
    let upstream = Upstream::new([Reply::job()]).await;
    let token = "M".repeat(32 << 10);
    let mut request = get_job();
    request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
    let gateway = Gateway::new(&upstream).await;
    gateway.send(request).await.unwrap();
    assert!(upstream.requests()[0].contains(&token));
}

#[tokio::test]
async fn a_blank_token_does_not_hide_the_bearer() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    let mut request = get_job();
    request.metadata_mut().insert("x-auth-token", "".parse().unwrap());
    request.metadata_mut().insert("authorization", "Bearer the-bearer".parse().unwrap());
    gateway.send(request).await.unwrap();
    assert!(upstream.requests()[0].contains("x-auth-token: the-bearer\r\n"));
}
