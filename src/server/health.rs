//! `grpc.health.v1.Health`, to the letter of the
//! [health checking protocol](https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
//!
//! Ours, because the ready-made one has no `List` and ends a watch of an unknown service.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::{
    grpc,
    proto::health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
        health_check_response::ServingStatus,
        health_server::{self, HealthServer},
    },
    upstream::Readiness,
};

/// The server's state of health. Cheap to clone.
#[derive(Clone)]
pub(super) struct Health {
    services: Arc<[&'static str]>,
    phase: watch::Sender<Phase>,
}

/// The life of a server. Once it leaves, it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Serving,
    /// It takes calls, and fails them for want of credentials.
    Unready(Readiness),
    /// It takes calls, but is about to stop.
    Leaving,
    /// The streams of its health end too.
    Draining,
}

// === impl Health ===

impl Health {
    /// The health of these services and of the server as a whole, named by the empty text.
    pub(super) fn new<const N: usize>(services: [&'static str; N]) -> Self {
        let services = services.into_iter().chain([""]).collect();
        Self { services, phase: watch::Sender::new(Phase::Starting) }
    }

    /// Serves, as far as the credentials allow.
    pub(super) fn serve(&self, readiness: Readiness) {
        let serving = match readiness {
            Readiness::Ready => Phase::Serving,
            Readiness::Pending | Readiness::Rejected | Readiness::Unavailable => {
                Phase::Unready(readiness)
            }
        };
        self.phase.send_if_modified(|phase| {
            let leaves = matches!(*phase, Phase::Leaving | Phase::Draining);
            let news = !leaves && *phase != serving;
            if news {
                *phase = serving;
            }
            news
        });
    }

    /// Not healthy any more, though calls are still taken.
    pub(super) fn leave(&self) {
        self.phase.send_replace(Phase::Leaving);
    }

    pub(super) fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Why the server is not ready; `None` if it is.
    pub(super) fn unready(&self) -> Option<&'static str> {
        match *self.phase.borrow() {
            Phase::Serving => None,
            Phase::Starting => Some("starting"),
            Phase::Leaving | Phase::Draining => Some("draining"),
            Phase::Unready(Readiness::Rejected) => Some("the gateway's credentials are rejected"),
            Phase::Unready(Readiness::Unavailable) => {
                Some("the gateway can't get credentials of its own")
            }
            Phase::Unready(Readiness::Pending | Readiness::Ready) => {
                Some("the gateway has no credentials of its own yet")
            }
        }
    }

    pub(super) fn service(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }

    fn knows(&self, service: &str) -> bool {
        self.services.contains(&service)
    }
}

// === impl Phase ===

impl Phase {
    fn response(self) -> HealthCheckResponse {
        let status = match self {
            Self::Serving => ServingStatus::Serving,
            Self::Starting | Self::Unready(_) | Self::Leaving | Self::Draining => {
                ServingStatus::NotServing
            }
        };
        HealthCheckResponse { status: status.into() }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("no such service"));
        }
        Ok(Response::new(self.phase.borrow().response()))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let response = self.phase.borrow().response();
        let statuses: HashMap<_, _> =
            self.services.iter().map(|service| ((*service).to_owned(), response)).collect();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = self.knows(&request.get_ref().service);
        let mut phases = self.phase.subscribe();
        phases.mark_changed();
        let responses = stream::unfold((phases, None), move |(mut phases, last)| async move {
            // After the last word, the stream must not hold the drain.
            if last == Some(Phase::Draining) {
                return None;
            }
            loop {
                phases.changed().await.ok()?;
                let phase = *phases.borrow_and_update();
                // From one reason not to be ready to another is no news here.
                let news = last.map(Phase::response) != Some(phase.response());
                if phase == Phase::Draining || news {
                    return Some(((phase, news), (phases, Some(phase))));
                }
            }
        });
        let mut unknown_told = false;
        let responses = responses.flat_map(move |(phase, news)| {
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            let response = match known {
                true => news.then(|| Ok(phase.response())),
                false if unknown_told => None,
                false => Some(Ok(unknown)),
            };
            unknown_told = true;
            let end = (phase == Phase::Draining).then(|| Err(grpc::Error::ServerDraining.into()));
            stream::iter(response.into_iter().chain(end))
        });
        Ok(Response::new(Box::pin(responses)))
    }
}
