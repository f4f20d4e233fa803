//! What one credential has brought never goes to another.

use std::time::Duration;

use futures_util::future::join_all;
use jobgate::proto::v1::{Heartbeat, watch_job_response::Event};
use tonic::Code;

use crate::support::{Gateway, account::Account, gateway::config, get_job, reason, watch_job};

const TOKENS: [&str; 4] = ["token-a", "token-b", "token-A", "token-ab"];

async fn account() -> Account {
    let account = Account::new("unused").await;
    for token in TOKENS {
        account.knows(token);
    }
    account
}

#[tokio::test]
async fn calls_and_watches_get_what_their_own_token_brought() {
    let account = account().await;
    let mut config = config(account.address);
    config.grpc.watch.poll_min = Duration::from_millis(10);
    config.grpc.watch.heartbeat = Duration::from_millis(10);
    let gateway = Gateway::with(config).await;
    let client = gateway.client().await;
    let callers = (0..200).map(|number| {
        let token = TOKENS[number % TOKENS.len()];
        let mut client = client.clone();
        async move {
            let mut request = get_job();
            request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
            assert_eq!(client.get_job(request).await.unwrap().into_inner().job_type, token);
            let mut request = watch_job();
            request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
            let mut watch = client.watch_job(request).await.unwrap().into_inner();
            for _ in 0..3 {
                if let Some(Event::Job(job)) = watch.message().await.unwrap().unwrap().event {
                    assert_eq!(job.job_type, token);
                }
            }
        }
    });
    join_all(callers).await;
}

#[tokio::test]
async fn a_token_that_is_revoked_gets_no_answer_from_others_polls() {
    let account = account().await;
    let mut config = config(account.address);
    config.grpc.watch.poll_min = Duration::from_millis(20);
    config.grpc.watch.poll_max = Duration::from_millis(20);
    config.grpc.watch.heartbeat = Duration::from_millis(20);
    let gateway = Gateway::with(config).await;
    let watch = async |token: &str| {
        let mut request = watch_job();
        request.metadata_mut().insert("x-auth-token", token.parse().unwrap());
        let mut client = gateway.client().await;
        let mut watch = client.watch_job(request).await.unwrap().into_inner();
        watch.message().await.unwrap().unwrap();
        watch
    };
    let mut revoked = [watch("token-a").await, watch("token-a").await];
    let mut other = watch("token-b").await;
    account.revokes_one("token-a");
    for watch in &mut revoked {
        let end = loop {
            match watch.message().await {
                // At most what was on its way.
                Ok(event) => assert!(matches!(event.unwrap().event, Some(Event::Heartbeat(_)))),
                Err(end) => break end,
            }
        };
        assert_eq!(end.code(), Code::Unauthenticated);
        assert_eq!(reason(&end), "CREDENTIALS_REJECTED");
    }
    let asked = account.asked().iter().filter(|token| *token == "token-a").count();
    for _ in 0..5 {
        let event = other.message().await.unwrap().unwrap().event.unwrap();
        assert_eq!(event, Event::Heartbeat(Heartbeat { upstream_error: None }));
    }
    // Nobody asks any more with the token that ended.
    assert_eq!(account.asked().iter().filter(|token| *token == "token-a").count(), asked);
    let mut request = get_job();
    request.metadata_mut().insert("x-auth-token", "token-a".parse().unwrap());
    assert_eq!(gateway.send(request).await.unwrap_err().code(), Code::Unauthenticated);
}
