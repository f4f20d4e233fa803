//! The gRPC service: checks a call, asks for the job, converts the answer.

mod convert;
mod deadline;
mod error;
mod guard;
mod record;
mod status;

use std::time::Duration;

use tonic::{Request, Response, Status};

use self::guard::Call;
pub use self::{
    error::Error,
    guard::RequestId,
    record::{CallRecord, Upstream as UpstreamRecord},
    status::code_name,
};
use crate::{
    job::JobPath,
    proto::v1::{
        GetJobRequest, Job, WatchJobRequest, WatchJobResponse,
        job_service_server::{JobService, JobServiceServer},
    },
    upstream::Upstream,
};

/// The service's full name.
pub const SERVICE: &str = "jobgate.v1.JobService";

/// The largest message that is sent. Clients refuse larger ones unless told otherwise.
pub const MAX_MESSAGE: usize = 4 << 20;

/// How calls are served.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The time for a call that brings no deadline.
    pub timeout: Duration,
}

/// Answers for jobs.
#[derive(Clone)]
pub struct Jobs {
    config: Config,
    upstream: Upstream,
}

// === impl Jobs ===

impl Jobs {
    /// The service, ready to be routed to.
    pub fn service(config: Config, upstream: Upstream) -> JobServiceServer<Self> {
        JobServiceServer::new(Self { config, upstream })
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .max_encoding_message_size(MAX_MESSAGE)
    }

    async fn job(&self, request: Request<GetJobRequest>) -> Result<Job, Error> {
        let call = Call::check(request.metadata(), request.extensions(), self.config.timeout)?;
        let request = request.into_inner();
        let path = JobPath::parse(&request.project_id, &request.job_id)?;
        let fetch = self.upstream.fetch(&path, &call.token, &call.trace, call.deadline);
        let fetched = tokio::time::timeout_at(call.deadline, fetch)
            .await
            .map_err(|_| Error::DeadlineExceeded)?;
        call.record.fetched(&fetched);
        let job = fetched.result.map_err(|error| Error::Upstream { error, path })?;
        convert::job(&job, fetched.http_status)
    }
}

#[tonic::async_trait]
impl JobService for Jobs {
    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<Job>, Status> {
        let record = CallRecord::of(request.extensions());
        match self.job(request).await {
            Ok(job) => Ok(Response::new(job)),
            Err(error) => {
                record.failed(&error);
                Err(error.into())
            }
        }
    }

    type WatchJobStream = futures_util::stream::Empty<Result<WatchJobResponse, Status>>;

    async fn watch_job(
        &self,
        request: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let error = Error::MethodNotImplemented;
        CallRecord::of(request.extensions()).failed(&error);
        Err(error.into())
    }
}
