//! The command against a small gateway in the same process, over real sockets.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use clap::Parser as _;
use jobgate::proto::{
    WatchJobReply,
    v1::{JobStatus, WatchJobRequest},
    v1_server::{JobService, JobServiceServer},
};
use tokio::net::TcpListener;
use tonic::{Response, Status, service::Routes};

use super::*;
use crate::cli::{Cli, Command};

/// Answers by the job's id: `slow` never, `gone` with an error, others with themselves.
struct Gateway;

#[tonic::async_trait]
impl JobService for Gateway {
    type WatchJobStream =
        Pin<Box<dyn futures_util::Stream<Item = Result<WatchJobReply, Status>> + Send>>;

    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<Job>, Status> {
        let header = |key| {
            let value = request.metadata().get(key);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let token = header("x-auth-token");
        assert!(header("grpc-timeout").is_some());
        let GetJobRequest { project_id, job_id } = request.into_inner();
        match job_id.as_str() {
            "slow" => std::future::pending().await,
            "gone" => Err(Status::not_found("no such job")),
            _ => Ok(Response::new(Job {
                job_id,
                job_type: project_id,
                status: JobStatus::Success as i32,
                fail_reason: token,
                ..Job::default()
            })),
        }
    }

    async fn watch_job(
        &self,
        _: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

async fn gateway() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Routes::new(JobServiceServer::new(Gateway)).into_axum_router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn get(job: &str, gateway: &str, more: &[&str]) -> Get {
    let args = ["jobgate", "get", job, "--project", "p", "--gateway", gateway];
    let cli = Cli::try_parse_from(args.iter().chain(more)).unwrap();
    let Command::Get(get) = cli.command else { panic!("another command") };
    get
}

#[tokio::test]
async fn a_job_comes_back_and_the_token_goes_along() {
    let url = format!("http://{}", gateway().await);
    let path = std::env::temp_dir().join(format!("jobgate-token-{}", std::process::id()));
    std::fs::write(&path, "MIIabc==\n").unwrap();
    let job = get("j", &url, &["--token-file", path.to_str().unwrap()]).fetch().await;
    std::fs::remove_file(path).unwrap();
    let job = job.unwrap();
    assert_eq!((job.job_id.as_str(), job.job_type.as_str()), ("j", "p"));
    assert_eq!(job.fail_reason.as_deref(), Some("MIIabc=="));
}

#[tokio::test]
async fn an_error_of_the_gateway() {
    let url = format!("http://{}", gateway().await);
    let error = get("gone", &url, &[]).fetch().await.unwrap_err();
    assert!(matches!(error, Error::Rpc(status) if status.message() == "no such job"));
}

#[tokio::test]
async fn a_gateway_too_slow() {
    let url = format!("http://{}", gateway().await);
    let error = get("slow", &url, &["--timeout", "50ms"]).fetch().await.unwrap_err();
    assert_eq!(error.to_string(), format!("no answer from {url} within 50ms"));
}

#[tokio::test]
async fn nobody_accepts() {
    // Listens, but never answers: the deadline must hold before there is a connection.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let call = get("j", &url, &["--timeout", "50ms"]).fetch();
    let outcome = tokio::time::timeout(Duration::from_secs(10), call).await;
    assert!(matches!(outcome.unwrap(), Err(Error::TimedOut { .. })));
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = get("j", &url, &[]).fetch().await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot reach {url}: ")), "{error}");
}
