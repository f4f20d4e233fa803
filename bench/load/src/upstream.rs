//! The REST API, as cheap as can be: bodies are made beforehand, but for the id of the job.

use std::{cell::RefCell, collections::HashMap, convert::Infallible, net::SocketAddr, rc::Rc};

use anyhow::Result;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::LocalSet};

use crate::payload::{Body, NOT_FOUND, Payload, TOKEN};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    listen: SocketAddr,
}

#[derive(Default)]
struct Upstream {
    bodies: RefCell<HashMap<u32, Body>>,
    /// Requests for jobs so far.
    count: RefCell<u64>,
}

pub async fn serve(args: Args) -> Result<()> {
    let listener = TcpListener::bind(args.listen).await?;
    let upstream = Rc::new(Upstream::default());
    let accept = async move {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let upstream = Rc::clone(&upstream);
            let answer = service_fn(move |request| answer(Rc::clone(&upstream), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // How a connection ends is its client's matter.
            tokio::task::spawn_local(async move { drop(connection.await) });
        }
    };
    LocalSet::new().run_until(accept).await
}

async fn answer(
    upstream: Rc<Upstream>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = upstream.answer(&request);
    // Envoy sends an empty body in chunks; left unread, it ends the connection.
    let mut body = request.into_body();
    while !body.is_end_stream() && body.frame().await.is_some() {}
    Ok(answer)
}

// === impl Upstream ===

impl Upstream {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/count" {
            return response(StatusCode::OK, self.count.borrow().to_string());
        }
        *self.count.borrow_mut() += 1;
        if !is_authentic(request.headers()) {
            return response(StatusCode::UNAUTHORIZED, "");
        }
        let job = request.uri().path().strip_prefix("/v1/").and_then(|it| it.split_once("/jobs/"));
        let payload = job.and_then(|(project, id)| Some((Payload::of_project(project)?, id)));
        match payload {
            Some((Payload::Job { sub_jobs }, id)) if request.method() == Method::GET => {
                let mut bodies = self.bodies.borrow_mut();
                let body = bodies.entry(sub_jobs).or_insert_with(|| Body::new(sub_jobs));
                response(StatusCode::OK, body.of(id))
            }
            Some((Payload::Missing, _)) => response(StatusCode::NOT_FOUND, NOT_FOUND),
            Some(_) | None => response(StatusCode::BAD_REQUEST, ""),
        }
    }
}

/// With the token, or signed by somebody.
fn is_authentic(headers: &HeaderMap) -> bool {
    let signature = headers.get("authorization").map(HeaderValue::as_bytes);
    headers.get("x-auth-token").is_some_and(|it| it == TOKEN)
        || signature.is_some_and(|it| it.starts_with(b"SDK-HMAC-SHA256 Access=AK, "))
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    // As the API gateway of these clouds names each request.
    let id = HeaderValue::from_static("0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    headers.insert(HeaderName::from_static("x-request-id"), id);
    response
}
