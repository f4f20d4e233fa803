//! The gRPC service: checks a call, asks for the job, converts the answer.

mod admission;
mod compression;
mod convert;
mod deadline;
mod error;
#[cfg(any(test, fuzzing, feature = "measuring"))]
pub(crate) mod fuzzing;
mod guard;
mod header_limit;
mod overload;
mod per_caller;
mod record;
mod refusals;
mod status;
mod time_limit;
mod watch;

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, Stream};
use prometheus_client::registry::Registry;
use tonic::{Request, Response, Status};

use self::{
    admission::Admission,
    compression::{GZIP, InKind},
    guard::Call,
    watch::{View, Watch},
};
pub use self::{
    admission::Limits,
    error::Error,
    guard::{Peer, RequestId},
    header_limit::{HeaderLimit, HeaderLimitLayer, HeldHeaders},
    overload::Overload,
    record::{CallRecord, Upstream as UpstreamRecord},
    refusals::{Refusable, with_details},
    status::code_name,
    time_limit::{TimeLimit, TimeLimitLayer},
};
use crate::{
    access::Access,
    job::{InvalidId, JobPath},
    proto::{
        WatchJobReply,
        v1::{GetJobRequest, Job, WatchJobRequest},
        v1_server::{self, JobServiceServer},
    },
    telemetry::Tracer,
    upstream::{FetchError, Upstream},
    watch::{self as watches, Watches},
};

/// The service's full name.
pub const SERVICE: &str = "jobgate.v1.JobService";

/// Whether a call with this path is one of that service.
pub fn is_of_jobs(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(SERVICE))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The largest message that is sent. Clients refuse larger ones unless told otherwise.
pub const MAX_MESSAGE: usize = 4 << 20;

/// The largest message that is taken. Ids and a token are far smaller.
const MAX_REQUEST: usize = 64 << 10;

/// How calls are served.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The time for a call that brings no deadline; of a watch, for its first state.
    pub timeout: Duration,
    /// How many there may be at a time.
    pub limits: Limits,
    /// How watches are kept.
    pub watch: watches::Config,
}

/// Answers for jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    access: Access,
    admission: Admission,
    upstream: Upstream,
    watches: Watches<Upstream, View>,
}

/// The service with all of its settings.
pub type JobService = InKind<JobServiceServer<Jobs>>;

type Replies = Pin<Box<dyn Stream<Item = Result<WatchJobReply, Status>> + Send>>;

// === impl Jobs ===

impl Jobs {
    /// Answers with what `upstream` says, those whom `access` lets ask.
    pub fn new(
        config: Config,
        access: Access,
        upstream: Upstream,
        tracer: &Tracer,
        registry: &mut Registry,
    ) -> Self {
        let Config { timeout: _, limits, watch } = config;
        let admission = Admission::new(limits, registry);
        let watches = Watches::new(watch, upstream.clone(), View::of).traced(tracer.clone());
        watches.register(registry);
        Self { access, admission, upstream, watches }
    }

    /// The service, ready to be routed to.
    pub fn service(&self) -> JobService {
        let service = JobServiceServer::new(self.clone())
            .accept_compressed(GZIP)
            .send_compressed(GZIP)
            .max_decoding_message_size(MAX_REQUEST)
            .max_encoding_message_size(MAX_MESSAGE);
        InKind(service)
    }

    /// What keeps a connection from having too many headers held.
    pub fn header_limit(&self) -> HeaderLimitLayer {
        HeaderLimitLayer(self.admission.clone())
    }

    /// Ends all watches and takes no more; other calls go on.
    pub fn drain(&self) {
        self.watches.drain();
    }

    async fn job(&self, call: &Call) -> Result<Job, Error> {
        let Call { path, credential, limit, trace, record, .. } = call;
        let fetched = self.upstream.fetch(path, credential, trace, limit.answer).await;
        record.fetched(&fetched);
        match fetched.result {
            // Mostly nobody else has it, and its texts need not be copied.
            Ok(job) => convert::job(Arc::unwrap_or_clone(job)).ok_or_else(|| {
                let error = FetchError::too_large(fetched.http_status, fetched.request_id);
                Error::Upstream { error: Arc::new(error), path: path.clone() }
            }),
            Err(error) => Err(Error::Upstream { error, path: path.clone() }),
        }
    }

    async fn watch(&self, call: &Call, resume_token: &str) -> Result<Replies, Error> {
        let Call { path, shown, who, peer, credential, limit, trace, record } = call;
        let share = self.admission.watch(who)?;
        let permit = self.access.permit(shown.clone());
        let refused = permit.map(|permit| permit.lost(path.project_id().into()).boxed());
        let (opened, fetched) = self.watches.open(path, credential, trace, limit.own).await;
        if let Some(fetched) = fetched {
            record.fetched(&fetched);
        }
        let mut watcher = opened.map_err(|refusal| watch::refusal(refusal, path.clone()))?;
        watcher.skip(|view| view.is_known_by(resume_token));
        if let Some(until) = peer.and_then(|peer| peer.until) {
            watcher.end_by(until);
        }
        let (path, record) = (path.clone(), record.clone());
        let watch = Watch { refused, watcher, path, record, _share: share };
        Ok(Box::pin(watch::replies(watch)))
    }

    /// What all calls have in common: the checks and the place before, and the record of an error
    /// after.
    async fn serve<Q, A>(
        &self,
        path: Result<JobPath, InvalidId>,
        request: &Request<Q>,
        answer: impl AsyncFnOnce(&Call) -> Result<A, Error>,
    ) -> Result<Response<A>, Status> {
        let answered = async {
            let own = self.upstream.own_credential();
            let (metadata, extensions) = (request.metadata(), request.extensions());
            let call = Call::check(path?, metadata, extensions, &self.access, own)?;
            // Not before the checks: a call that can't go on takes nobody's place.
            let _place = self.admission.enter(&call.who).await?;
            answer(&call).await
        };
        answered.await.map(Response::new).map_err(|error| {
            CallRecord::of(request.extensions()).failed(&error);
            if let Error::Overloaded(limit) = &error {
                self.admission.refused(*limit);
            }
            error.into()
        })
    }
}

#[tonic::async_trait]
impl v1_server::JobService for Jobs {
    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<Job>, Status> {
        let GetJobRequest { project_id, job_id } = request.get_ref();
        let path = JobPath::parse(project_id, job_id);
        self.serve(path, &request, async |call: &Call| self.job(call).await).await
    }

    type WatchJobStream = Replies;

    async fn watch_job(
        &self,
        request: Request<WatchJobRequest>,
    ) -> Result<Response<Replies>, Status> {
        let WatchJobRequest { project_id, job_id, resume_token } = request.get_ref();
        let path = JobPath::parse(project_id, job_id);
        self.serve(path, &request, async |call: &Call| self.watch(call, resume_token).await).await
    }
}
