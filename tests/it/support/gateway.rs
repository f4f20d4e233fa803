//! A gateway in this process, and a client of it.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jobgate::{
    files::Reloads,
    grpc,
    proto::v1::{
        GetJobRequest, Job, WatchJobRequest, WatchJobResponse, job_service_client::JobServiceClient,
    },
    server,
    telemetry::Tracer,
    upstream, watch,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Request, Status, Streaming, transport::Channel};

use super::{Upstream, becomes};

/// The token the tests send.
pub(crate) const TOKEN: &str = "gAAAAAB-the-callers-own-token";

/// The path of GetJob.
pub(crate) const GET_JOB: &str = "/jobgate.v1.JobService/GetJob";

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

/// A configuration that talks to `upstream` on free ports.
pub(crate) fn config(upstream: SocketAddr) -> server::Config {
    server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        workers: NonZeroUsize::new(2).unwrap(),
        admin_listen: Some(([127, 0, 0, 1], 0).into()),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::from_secs(30),
        connections: server::ConnectionLimits::default(),
        grpc: grpc::Config {
            timeout: Duration::from_secs(30),
            limits: grpc::Limits::default(),
            watch: watch::Config::default(),
        },
        upstream: upstream::Config {
            base: upstream::BaseUrl::parse(&format!("http://{upstream}")).unwrap(),
            transport: upstream::TransportConfig {
                attempt_timeout: Duration::from_secs(20),
                connect_timeout: Duration::from_secs(20),
                ..upstream::TransportConfig::default()
            },
            credentials: upstream::Credentials::Passthrough,
            max_requests: 500,
        },
        tls: None,
        callers: None,
        web: None,
        ui: None,
        // Only when it is told.
        reload: Reloads::new(Duration::from_hours(1)),
        tracer: Tracer::default(),
    }
}

/// The request for job `j1` of project `p1`, with the tests' token.
pub(crate) fn get_job() -> Request<GetJobRequest> {
    let message = GetJobRequest { project_id: "p1".into(), job_id: "j1".into() };
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-auth-token", TOKEN.parse().unwrap());
    request
}

/// The request to watch the same job.
pub(crate) fn watch_job() -> Request<WatchJobRequest> {
    get_job().map(|it| WatchJobRequest {
        project_id: it.project_id,
        job_id: it.job_id,
        resume_token: String::new(),
    })
}

// === impl Gateway ===

impl Gateway {
    pub(crate) async fn new(upstream: &Upstream) -> Self {
        Self::with(config(upstream.address)).await
    }

    pub(crate) async fn with(config: server::Config) -> Self {
        let bound = server::bind(config).await.unwrap();
        let (address, admin) = (bound.local_addr(), bound.admin_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(bound.run(async {
            let _ = stopped.await;
        }));
        Self { address, admin, stop: Some(stop), running }
    }

    pub(crate) async fn channel(&self) -> Channel {
        channel(self.address).await
    }

    pub(crate) async fn client(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel().await)
    }

    /// One GetJob for the usual job.
    pub(crate) async fn get(&self) -> Result<Job, Status> {
        self.send(get_job()).await
    }

    pub(crate) async fn send(&self, request: Request<GetJobRequest>) -> Result<Job, Status> {
        Ok(self.client().await.get_job(request).await?.into_inner())
    }

    /// A watch of the usual job, on a connection of its own.
    pub(crate) async fn watch(&self) -> Result<Streaming<WatchJobResponse>, Status> {
        Ok(self.client().await.watch_job(watch_job()).await?.into_inner())
    }

    /// The value of a metric, 0 if there is none: its name with its labels, as it is written.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let metrics = crate::health::http_get(self.admin, "/metrics").await.1;
        let mut values =
            metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().map_or(0, |value| value.parse().unwrap())
    }

    /// Returns once a metric has this value.
    pub(crate) async fn metric_is(&self, name: &str, value: u64) {
        becomes(async || self.metric(name).await == value).await;
    }

    /// Returns once it has nothing to do any more: no connection, no task. And it still serves.
    pub(crate) async fn is_at_rest_and_serves(&self) {
        for what in ["jobgate_connections", "jobgate_streams", "jobgate_calls_served"] {
            self.metric_is(what, 0).await;
        }
        self.get().await.unwrap();
    }

    /// Tells it to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// One GetJob by a client that leaves the deadline to the server.
    pub(crate) async fn send_without_own_deadline(
        &self,
        request: Request<GetJobRequest>,
    ) -> Result<Job, Status> {
        let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let origin = format!("http://{}", self.address).parse().unwrap();
        let mut client = JobServiceClient::with_origin(http, origin);
        Ok(client.get_job(request).await?.into_inner())
    }

    /// The head of the answer to a call whose body is sent as it is.
    pub(crate) async fn raw(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: axum::body::Body,
    ) -> http::HeaderMap {
        let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let mut request = http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-auth-token", TOKEN);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http.request(request.body(body).unwrap()).await.unwrap().headers().clone()
    }

    /// Waits for its end.
    pub(crate) async fn stopped(self) {
        drop(self.stop);
        self.running.await.unwrap();
    }
}

/// A connection to any gRPC server here.
pub(crate) async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}
