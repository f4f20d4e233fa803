//! The least that a gRPC server in Rust costs: tonic, one thread, a job from memory.

use std::{collections::HashMap, net::SocketAddr, sync::Mutex};

use anyhow::Result;
use prost_types::Timestamp;
use tonic::{Request, Response, Status, async_trait, codegen::BoxStream, transport::Server};

use crate::{
    payload::{Payload, sub_job_id},
    proto::v1::{
        GetJobRequest, Job, JobStatus, WatchJobRequest, WatchJobResponse,
        job_service_server::{JobService, JobServiceServer},
    },
};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    listen: SocketAddr,
}

#[derive(Default)]
struct Floor {
    jobs: Mutex<HashMap<u32, Job>>,
}

pub async fn serve(args: Args) -> Result<()> {
    let service = JobServiceServer::new(Floor::default());
    Ok(Server::builder().tcp_nodelay(true).add_service(service).serve(args.listen).await?)
}

fn job(sub_jobs: u32) -> Job {
    let entities = [
        ("bks_create_volume_name", "autobk_volume"),
        ("backup_id", "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d"),
        ("volume_id", "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc"),
        ("snapshot_id", "a77a96bf-dd18-40bf-a446-fdcefc1719ec"),
    ];
    let sub_job = |index| Job { job_id: sub_job_id(index), ..job(0) };
    Job {
        job_type: "bksCreateBackup".to_owned(),
        status: JobStatus::Success.into(),
        status_text: "SUCCESS".to_owned(),
        entities: entities.map(|(name, it)| (name.to_owned(), it.to_owned())).into(),
        begin_time: Some(Timestamp { seconds: 1_453_997_649, nanos: 466_000_000 }),
        end_time: Some(Timestamp { seconds: 1_453_998_327, nanos: 690_000_000 }),
        sub_jobs: (0..sub_jobs).map(sub_job).collect(),
        ..Job::default()
    }
}

// === impl Floor ===

#[async_trait]
impl JobService for Floor {
    type WatchJobStream = BoxStream<WatchJobResponse>;

    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<Job>, Status> {
        let request = request.into_inner();
        match Payload::of_project(&request.project_id) {
            Some(Payload::Job { sub_jobs }) => {
                let Ok(mut jobs) = self.jobs.lock() else { return Err(Status::internal("")) };
                let known = jobs.entry(sub_jobs).or_insert_with(|| job(sub_jobs));
                Ok(Response::new(Job { job_id: request.job_id, ..known.clone() }))
            }
            Some(Payload::Missing) => Err(Status::not_found("query job fail")),
            None => Err(Status::invalid_argument("no such project")),
        }
    }

    async fn watch_job(
        &self,
        _: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        Err(Status::unimplemented("the floor answers from memory"))
    }
}
