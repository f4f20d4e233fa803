//! Calls besides the contract: health, reflection, and what is not there.

use jobgate::proto::health::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic::{Code, Request, Status, client::Grpc};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::channel;

/// The error of a call of a method that is not there.
pub(super) async fn call(path: &'static str) -> Status {
    let mut client = Grpc::new(channel());
    client.ready().await.unwrap();
    let path = path.parse().unwrap();
    client.unary::<(), (), _>(Request::new(()), path, ProstCodec::default()).await.unwrap_err()
}

pub(super) async fn health() {
    let request = |service: &str| HealthCheckRequest { service: service.into() };
    let mut client = HealthClient::new(channel());
    let checked = client.check(request("jobgate.v1.JobService")).await.unwrap().into_inner();
    assert_eq!(checked.status(), ServingStatus::Serving);
    let watch = client.watch(request("jobgate.v1.JobService")).await.unwrap();
    let watched = watch.into_inner().message().await.unwrap().unwrap();
    assert_eq!(watched.status(), ServingStatus::Serving);
    let refused = client.check(request("no.such")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

pub(super) async fn reflection() {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures_util::stream::iter([request]);
    let answer = ServerReflectionClient::new(channel()).server_reflection_info(requests).await;
    let answer = answer.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    assert!(list.service.iter().any(|service| service.name == "jobgate.v1.JobService"));
}
