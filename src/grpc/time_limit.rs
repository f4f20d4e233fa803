//! The time there is for each call, counted from the arrival of its headers.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _, ready};
use http::{HeaderMap, HeaderName, Request, Response};
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};

use super::{
    deadline::{self, InvalidTimeout},
    error::Error,
    record::CallRecord,
};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// No deadline lies further ahead; the protocol could say 11,000 years.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

/// Ends calls that take too long to their answer, or to the head of it if it is a stream.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimitLayer {
    default: Duration,
}

/// See [`TimeLimitLayer`].
#[derive(Clone, Debug)]
pub struct TimeLimit<S> {
    inner: S,
    default: Duration,
}

/// The time limit of a call, in its request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// When there must be an answer: the caller's deadline, or that of calls without one.
    pub(super) answer: Instant,
    /// The caller's deadline.
    pub(super) own: Option<Instant>,
}

// === impl TimeLimitLayer ===

impl TimeLimitLayer {
    /// Calls that bring no deadline get `default`.
    pub fn new(default: Duration) -> Self {
        Self { default }
    }
}

impl<S> Layer<S> for TimeLimitLayer {
    type Service = TimeLimit<S>;

    fn layer(&self, inner: S) -> TimeLimit<S> {
        TimeLimit { inner, default: self.default }
    }
}

// === impl TimeLimit ===

impl<S, Q, A> Service<Request<Q>> for TimeLimit<S>
where
    S: Service<Request<Q>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    A: Default + Send + 'static,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<A>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Q>) -> Self::Future {
        let record = CallRecord::of(request.extensions());
        let limit = match Limit::of(request.headers(), self.default) {
            Ok(limit) => limit,
            Err(invalid) => return ready(Ok(record.refuse(&invalid.into()))).boxed(),
        };
        request.extensions_mut().insert(limit);
        let answering = self.inner.call(request);
        let in_time = async move {
            let answer = timeout_at(limit.answer, answering).await;
            answer.unwrap_or_else(|_| Ok(record.refuse(&Error::DeadlineExceeded)))
        };
        in_time.boxed()
    }
}

// === impl Limit ===

impl Limit {
    fn of(headers: &HeaderMap, default: Duration) -> Result<Self, InvalidTimeout> {
        let timeout = headers.get(GRPC_TIMEOUT).map(|value| deadline::parse(value.as_bytes()));
        let now = Instant::now();
        let own = timeout.transpose()?.map(|timeout| now + timeout.min(MAX_TIMEOUT));
        Ok(Self { answer: own.unwrap_or(now + default), own })
    }
}
