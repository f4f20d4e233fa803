//! Server reflection, both versions.

use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Gateway, Reply, Upstream};

#[tokio::test]
async fn v1_and_v1alpha_list_the_services_and_give_the_files() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = Gateway::new(&upstream).await;
    macro_rules! ask {
        ($version:ident) => {{
            use $version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest as Ask,
                server_reflection_response::MessageResponse as Answer,
            };
            let mut client = ServerReflectionClient::new(gateway.channel().await);
            let asks = [
                Ask::ListServices(String::new()),
                Ask::FileContainingSymbol("jobgate.v1.Job".to_owned()),
                Ask::FileContainingSymbol("google.rpc.RetryInfo".to_owned()),
                Ask::FileByFilename("jobgate/v1/errors.proto".to_owned()),
            ]
            .map(|ask| ServerReflectionRequest {
                message_request: Some(ask),
                ..Default::default()
            });
            let mut answers = client
                .server_reflection_info(futures_util::stream::iter(asks))
                .await
                .unwrap()
                .into_inner();
            let Some(Answer::ListServicesResponse(list)) =
                answers.message().await.unwrap().unwrap().message_response
            else {
                panic!("no list of services")
            };
            let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            for expected in ["jobgate.v1.JobService", "grpc.health.v1.Health"] {
                assert!(names.iter().any(|name| name == expected), "{names:?}");
            }
            for _ in 0..3 {
                let answer = answers.message().await.unwrap().unwrap().message_response;
                assert!(matches!(answer, Some(Answer::FileDescriptorResponse(_))), "{answer:?}");
            }
        }};
    }
    ask!(v1);
    ask!(v1alpha);
}
