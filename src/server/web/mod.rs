//! gRPC-Web: calls of pages in browsers, and whose pages may call.
//!
//! Further in, such a call is like any other: it comes out of here as gRPC and is made gRPC-Web
//! again on its way back.

mod origin;

use std::{
    convert::Infallible,
    fmt::Display,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Bytes};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use http::{HeaderName, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use tonic::body::Body;
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
pub(super) struct Web<S> {
    grpc: S,
    pages: Cors<GrpcWebService<S>>,
    origins: Arc<Origins>,
}

type Answering = BoxFuture<'static, Result<Response<Body>, Infallible>>;

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

impl<S: Clone> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, inner: S) -> Web<S> {
        let pages = self.cors.layer(GrpcWebLayer::new().layer(inner.clone()));
        Web { grpc: inner, pages, origins: Arc::clone(&self.origins) }
    }
}

// === impl Web ===

impl<S, A> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<A>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    A: http_body::Body<Data = Bytes, Error: Into<BoxError> + Display> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.grpc.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        if !is_of_a_page(&request) {
            return self.grpc.call(request).map(|it| it.map(|it| it.map(Body::new))).boxed();
        }
        // Not left to the browser: it takes what comes from its own origin, and that may be a name
        // that somebody has pointed at this address.
        let origin = request.headers().get(header::ORIGIN);
        match origin.filter(|origin| !self.origins.allow(origin)) {
            Some(origin) => {
                let caller = request.extensions().get::<Caller>();
                tracing::info!(
                    origin = %String::from_utf8_lossy(origin.as_bytes()).escape_debug(),
                    path = request.uri().path(),
                    peer = caller.map(|caller| tracing::field::display(caller.address)),
                    "refused: pages of this origin may not call, see --grpc-web-allow-origin"
                );
                let mut refusal =
                    Response::new(Body::new(Full::from("this origin may not call\n")));
                *refusal.status_mut() = StatusCode::FORBIDDEN;
                ready(Ok(refusal)).boxed()
            }
            None => self.pages.call(request).map(|it| it.map(|it| it.map(Body::new))).boxed(),
        }
    }
}

/// Whether a request is one of a page, or at least none of gRPC.
fn is_of_a_page<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let content_type = headers.get(header::CONTENT_TYPE);
    request.version() < Version::HTTP_2
        || request.method() == Method::OPTIONS
        // Browsers send it with all that a page of another origin asks for.
        || headers.contains_key(header::ORIGIN)
        || content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc-web"))
}
