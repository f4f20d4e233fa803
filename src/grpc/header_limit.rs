//! How many bytes of its calls' headers a connection may have us hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::{admission::Admission, overload::Overload, record::CallRecord};

/// The most bytes for one connection: sixteen hundred calls with a token of 10 KiB each. It may have
/// more calls than that, and each may have large headers, but not both.
const MAX_HELD: usize = 16 << 20;

/// What HTTP/2 counts for a header besides its name and value (RFC 9113, section 6.5.2).
const OVERHEAD: usize = 32;

/// The bytes that are held for a connection, in the extensions of its requests.
#[derive(Clone, Debug, Default)]
pub struct HeldHeaders(Arc<AtomicUsize>);

/// Refuses calls whose headers would be too much for their connection.
#[derive(Clone)]
pub struct HeaderLimitLayer(pub(super) Admission);

/// See [`HeaderLimitLayer`].
#[derive(Clone)]
pub struct HeaderLimit<S> {
    inner: S,
    admission: Admission,
}

/// A call's share. It lies beside the headers and goes with them.
struct Share {
    bytes: usize,
    held: HeldHeaders,
}

// === impl HeldHeaders ===

impl HeldHeaders {
    /// A share for these headers, if it is not too much.
    fn take(&self, headers: &HeaderMap) -> Option<Share> {
        let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
        let share = Share { bytes: size.sum(), held: self.clone() };
        let before = self.0.fetch_add(share.bytes, Ordering::Relaxed);
        (before + share.bytes <= MAX_HELD).then_some(share)
    }
}

// === impl Share ===

impl Drop for Share {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl HeaderLimitLayer ===

impl<S> Layer<S> for HeaderLimitLayer {
    type Service = HeaderLimit<S>;

    fn layer(&self, inner: S) -> HeaderLimit<S> {
        HeaderLimit { inner, admission: self.0.clone() }
    }
}

// === impl HeaderLimit ===

impl<S, Q, A> Service<Request<Q>> for HeaderLimit<S>
where
    S: Service<Request<Q>, Response = Response<A>>,
    A: Default,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<A>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        if let Some(held) = request.extensions().get::<HeldHeaders>() {
            let Some(share) = held.take(request.headers()) else {
                self.admission.refused(Overload::HeadersOfConnection);
                let record = CallRecord::of(request.extensions());
                let refusal = record.refuse(&Overload::HeadersOfConnection.into());
                return Either::Right(ready(Ok(refusal)));
            };
            request.extensions_mut().insert(Arc::new(share));
        }
        Either::Left(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_are_held_up_to_the_limit_and_given_back() {
        let held = HeldHeaders::default();
        let value = HeaderValue::from_str(&"x".repeat((1 << 20) - 1 - OVERHEAD)).unwrap();
        let headers = HeaderMap::from_iter([(http::header::HeaderName::from_static("a"), value)]);
        let mut shares: Vec<_> = (0..16).map(|_| held.take(&headers).unwrap()).collect();
        for _ in 0..2 {
            assert!(held.take(&headers).is_none());
        }
        shares.pop();
        shares.push(held.take(&headers).unwrap());
        drop(shares);
        assert_eq!(held.0.load(Ordering::Relaxed), 0);
    }
}
