//! gRPC by the HTTP/2 library alone: what a gRPC library would do besides is not measured here.

use std::{future::poll_fn, net::SocketAddr};

use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use prost::Message;
use tokio_rustls::TlsConnector;

use crate::{dial::dial, payload::TOKEN};

/// Large enough that no answer waits for it.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// Calls one method, with the token.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Bytes>,
    uri: Uri,
    headers: HeaderMap,
}

// === impl Connection ===

impl Connection {
    pub async fn open(
        target: SocketAddr,
        tls: Option<&TlsConnector>,
        method: &str,
    ) -> Result<Self> {
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(dial(target, tls).await?)
            .await?;
        tokio::spawn(connection);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://localhost/jobgate.v1.JobService/{method}").parse()?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("jobgate-load"));
        headers.insert("x-auth-token", HeaderValue::from_static(TOKEN));
        Ok(Self { sender, uri, headers })
    }

    /// For all calls from now on.
    pub fn set_deadline(&mut self, deadline: &'static str) {
        self.headers.insert("grpc-timeout", HeaderValue::from_static(deadline));
    }

    pub async fn call(&mut self, message: &impl Message) -> Result<ResponseFuture> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let (response, mut stream) = self.sender.send_request(request, false)?;
        stream.send_data(frame(message)?, true)?;
        Ok(response)
    }
}

fn frame(message: &impl Message) -> Result<Bytes> {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length)?);
    message.encode(&mut frame)?;
    Ok(frame.freeze())
}

/// `grpc-status` and `grpc-message`, if they are there.
pub fn status(headers: &HeaderMap) -> Result<Option<(u16, String)>> {
    let Some(status) = headers.get("grpc-status") else { return Ok(None) };
    let message = headers.get("grpc-message").and_then(|it| it.to_str().ok());
    Ok(Some((status.to_str()?.parse()?, message.unwrap_or_default().to_owned())))
}
