//! gRPC-Web: calls of pages in browsers, and whose pages may call.
//!
//! Further in, such a call is like any other: it comes out of here as gRPC and is made gRPC-Web
//! again on its way back.

mod origin;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    response::Response,
    routing::{Route, future::RouteFuture},
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either, ready},
};
use http::{HeaderName, Method, StatusCode, Version, header};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};

pub use self::origin::{InvalidOrigin, Origin, Origins};
use super::connection::Caller;

/// How long a browser may go by what it was told of an origin. Chromium takes no more.
const MAX_AGE: Duration = Duration::from_hours(2);

/// What a page may send: what gRPC-Web's clients do, the credentials, and the trace.
const REQUEST_HEADERS: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-user-agent"),
    HeaderName::from_static("grpc-previous-rpc-attempts"),
];

/// What a page may read: the status of a call that ends with its head, and the call's name.
const RESPONSE_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-retry-pushback-ms"),
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("x-request-id"),
];

/// Takes gRPC-Web beside gRPC.
#[derive(Clone)]
pub(super) struct WebLayer {
    origins: Arc<Origins>,
    cors: CorsLayer,
}

/// See [`WebLayer`].
#[derive(Clone)]
pub(super) struct Web {
    grpc: Route,
    pages: Cors<GrpcWebService<Route>>,
    origins: Arc<Origins>,
}

type Answering = Either<RouteFuture<Infallible>, BoxFuture<'static, Result<Response, Infallible>>>;

// === impl WebLayer ===

impl WebLayer {
    pub(super) fn new(origins: &Origins) -> Self {
        let origins = Arc::new(origins.clone());
        let allowed = Arc::clone(&origins);
        // Never with credentials of the browser's own, such as cookies: tokens are sent on purpose.
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| allowed.allow(origin)))
            .allow_methods([Method::POST])
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(RESPONSE_HEADERS)
            .max_age(MAX_AGE);
        Self { origins, cors }
    }
}

impl Layer<Route> for WebLayer {
    type Service = Web;

    fn layer(&self, inner: Route) -> Web {
        let pages = self.cors.layer(GrpcWebLayer::new().layer(inner.clone()));
        Web { grpc: inner, pages, origins: Arc::clone(&self.origins) }
    }
}

// === impl Web ===

impl Service<Request> for Web {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.grpc, cx)
    }

    fn call(&mut self, request: Request) -> Answering {
        if !is_of_a_page(&request) {
            return Either::Left(self.grpc.call(request));
        }
        // Not left to the browser: it takes what comes from its own origin, and that may be a name
        // that somebody has pointed at this address.
        let origin = request.headers().get(header::ORIGIN);
        let answer = match origin.filter(|origin| !self.origins.allow(origin)) {
            Some(origin) => {
                let caller = request.extensions().get::<Caller>();
                tracing::info!(
                    origin = %String::from_utf8_lossy(origin.as_bytes()).escape_debug(),
                    path = request.uri().path(),
                    peer = caller.map(|caller| tracing::field::display(caller.address)),
                    "refused: pages of this origin may not call, see --grpc-web-allow-origin"
                );
                let mut refusal = Response::new(Body::from("this origin may not call\n"));
                *refusal.status_mut() = StatusCode::FORBIDDEN;
                ready(Ok(refusal)).boxed()
            }
            None => self.pages.call(request).map(|it| it.map(|it| it.map(Body::new))).boxed(),
        };
        Either::Right(answer)
    }
}

/// Whether a request is one of a page, or at least none of gRPC.
fn is_of_a_page(request: &Request) -> bool {
    let headers = request.headers();
    let content_type = headers.get(header::CONTENT_TYPE);
    request.version() < Version::HTTP_2
        || request.method() == Method::OPTIONS
        // Browsers send it with all that a page of another origin asks for.
        || headers.contains_key(header::ORIGIN)
        || content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc-web"))
}
