//! Answers a compressed call with a compressed answer, and no other call.

use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request};
use tonic::{codec::CompressionEncoding, server::NamedService};
use tower::Service;

/// The only compression there is.
pub(super) const GZIP: CompressionEncoding = CompressionEncoding::Gzip;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// A service whose answers are compressed if their call was.
///
/// Most libraries say that they take gzip and never ask for it; a usual job is too small to be worth
/// the time. Who compresses calls has a slow network, or large jobs.
#[derive(Clone, Debug)]
pub struct InKind<S>(pub(super) S);

// === impl InKind ===

impl<S: NamedService> NamedService for InKind<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for InKind<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        answer_in_kind(request.headers_mut());
        self.0.call(request)
    }
}

/// Hides from tonic that the caller takes gzip, unless he sends it.
fn answer_in_kind(headers: &mut HeaderMap) {
    if headers.get(GRPC_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        headers.remove(GRPC_ACCEPT_ENCODING);
    }
}
