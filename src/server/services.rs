//! The services of the gRPC port, and what surrounds every call of them.
//!
//! Calls of the job service go straight to it. All the others are rare, and go by a router.

use std::{
    any::Any,
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either, Map},
};
use http::{HeaderName, Request, Response, header};
use tonic::{body::Body, service::Routes};
use tower::{Layer as _, Service};
use tower_http::{
    catch_panic::{CatchPanic, CatchPanicLayer},
    sensitive_headers::{SetSensitiveRequestHeaders, SetSensitiveRequestHeadersLayer},
};

use super::{
    BindError,
    access_log::{AccessLog, AccessLogLayer},
    health::Health,
};
use crate::{
    grpc::{self, CallRecord, TimeLimit, TimeLimitLayer},
    proto,
};

/// The services with all that surrounds them.
pub(super) type Surrounded<S> =
    SetSensitiveRequestHeaders<AccessLog<CatchPanic<TimeLimit<S>, Panicked>>>;

type Panicked = fn(Box<dyn Any + Send>) -> Response<Body>;

/// The services by themselves.
#[derive(Clone)]
pub(super) struct Services {
    jobs: grpc::JobService,
    others: Router,
}

type Answer = Result<Response<Body>, Infallible>;
type FromRouter = Result<Response<axum::body::Body>, Infallible>;

// === impl Services ===

impl Services {
    pub(super) fn new(jobs: &grpc::Jobs, health: &Health) -> Result<Self, BindError> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let others = Routes::new(health.service())
            .add_service(reflection().build_v1().map_err(BindError::Reflection)?)
            .add_service(reflection().build_v1alpha().map_err(BindError::Reflection)?)
            .into_axum_router()
            .fallback(async |request: axum::extract::Request| {
                let record = CallRecord::of(request.extensions());
                record.refuse::<axum::body::Body>(&grpc::Error::MethodNotImplemented)
            });
        Ok(Self { jobs: jobs.service(), others })
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        BoxFuture<'static, Answer>,
        Map<<Router as Service<Request<Body>>>::Future, fn(FromRouter) -> Answer>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // All of them always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if grpc::is_of_jobs(request.uri().path()) {
            return Either::Left(self.jobs.call(request));
        }
        Either::Right(self.others.call(request).map(|answer| answer.map(|it| it.map(Body::new))))
    }
}

/// Surrounds services with what every call goes through.
pub(super) fn surround<S>(services: S, timeout: Duration, calls: &AccessLogLayer) -> Surrounded<S> {
    // Counted from the headers on: a call may never send its message.
    let limited = TimeLimitLayer::new(timeout).layer(services);
    // A panic is one call's misfortune, not the connection's.
    let caught = CatchPanicLayer::custom(panicked as Panicked).layer(limited);
    // The call is logged and counted whatever happens further in.
    let logged = calls.layer(caught);
    // Outermost, so that nothing further in can print a token.
    SetSensitiveRequestHeadersLayer::new([
        HeaderName::from_static("x-auth-token"),
        header::AUTHORIZATION,
    ])
    .layer(logged)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("no text"), "a call panicked");
    let mut response = tonic::Status::from(grpc::Error::Internal).into_http::<Body>();
    response.extensions_mut().insert(grpc::Error::Internal);
    response
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use tonic_types::StatusExt as _;
    use tower::ServiceExt as _;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::{server::calls::CallMetrics, telemetry::Tracer};

    #[tokio::test]
    async fn a_panic_costs_one_call_and_tells_nothing() {
        let panics = post(async || -> () { panic!("a secret") });
        let calls =
            AccessLogLayer::new(CallMetrics::new(&mut Registry::default()), Tracer::default());
        let routes = Router::new().route("/x", panics);
        let routes = surround(routes, Duration::from_secs(30), &calls);
        for _ in 0..2 {
            let request = Request::post("/x").body(Body::empty()).unwrap();
            let response = routes.clone().oneshot(request).await.unwrap();
            let status = tonic::Status::from_header_map(response.headers()).unwrap();
            assert_eq!(status.code(), tonic::Code::Internal);
            assert_eq!(status.get_details_error_info().unwrap().reason, "INTERNAL");
            assert!(!status.message().contains("secret"));
        }
    }
}
