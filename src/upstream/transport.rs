//! How requests go out: trust, proxy, limits; and what came back of an answer.
//!
//! Jobs have connections of their own kind ([`super::http`]); all else goes by the client here.

use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Client, ClientBuilder, Proxy, RequestBuilder, redirect};
use secrecy::zeroize::Zeroizing;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::ClientConfig;

use super::{
    BaseUrl, FetchError, SetupError,
    connector::Via,
    error::{ErrorKind, chain},
    secret::Secret,
    trust::{self, Tls},
};
use crate::files::{File, FileError, Live, Reloads};

/// What the gateway calls itself.
pub(super) const USER_AGENT: &str = concat!("jobgate/", env!("CARGO_PKG_VERSION"));

/// The most bytes of a body that are read, after decompression.
pub const MAX_BODY: usize = 4 << 20;

/// The most bytes of the body of an error that are read. The rest says nothing new.
const MAX_ERROR_BODY: usize = 64 << 10;

/// The most connections to a host that are kept for the next request.
const MAX_IDLE: usize = 128;

/// How the upstream and IAM are connected to.
#[derive(Clone, Debug)]
pub struct Config {
    /// The time for one attempt, from the connection to the body's last byte.
    pub attempt_timeout: Duration,
    /// The time for a new connection, TLS included.
    pub connect_timeout: Duration,
    /// Who is trusted, and how the gateway shows itself.
    pub tls: Tls,
    /// What stands in between; nothing unless it is said here.
    pub proxy: Option<HttpProxy>,
}

/// A proxy for all requests to the upstream and IAM.
#[derive(Clone, Debug)]
pub struct HttpProxy {
    /// Where it is.
    pub url: BaseUrl,
    /// A file with `user:password` for it.
    pub credentials: Option<PathBuf>,
}

/// An answer, as far as it came.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) end: End,
    pub(super) compressed: bool,
}

/// What comes before an answer's body.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The length of the body, if it is told before.
    pub(super) announced: Option<u64>,
}

/// A body that is still to be read.
pub(super) trait Body: Send {
    /// The next piece; `None` at the end. Else, why there is none.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Bytes>, String>> + Send;
}

/// Where the reading of a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the body's end.
    Complete,
    /// At the cap.
    TooLarge,
    /// Where the connection broke, and how.
    Cut(String),
    /// Where the time of the attempt was over.
    TimedOut,
}

/// The HTTP client with its connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport {
    client: Live<Client>,
    attempt_timeout: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            // Three of them fit into the half minute that calls have without a deadline.
            attempt_timeout: Duration::from_secs(8),
            connect_timeout: Duration::from_secs(3),
            tls: Tls::default(),
            proxy: None,
        }
    }
}

impl Config {
    /// The files that it names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let identity = self.tls.identity.clone().map(|(chain, key)| [chain, key]);
        let credentials = self.proxy.as_ref().and_then(|proxy| proxy.credentials.clone());
        let ca = self.tls.ca.iter().cloned();
        ca.chain(identity.into_iter().flatten()).chain(credentials).collect()
    }

    /// TLS by those files.
    pub(super) fn trust(&self, files: &[File]) -> Result<ClientConfig, FileError> {
        let mut files = files.iter();
        let ca = self.tls.ca.as_ref().and_then(|_| files.next());
        let identity =
            self.tls.identity.as_ref().and_then(|_| Some((files.next()?, files.next()?)));
        trust::client_config(ca, identity, self.tls.min_version)
    }

    /// The proxy by those files.
    pub(super) fn via(&self, files: &[File]) -> Result<Option<Via>, FileError> {
        let Some(HttpProxy { url, credentials }) = &self.proxy else {
            return Ok(None);
        };
        let authorization = match credentials.as_ref().and_then(|_| files.last()) {
            Some(file) => Some(basic_auth(file)?),
            None => None,
        };
        Ok(Some(Via { proxy: url.uri(), authorization }))
    }
}

fn basic_auth(file: &File) -> Result<HeaderValue, FileError> {
    let secret = Secret::line(&file.bytes).map_err(|invalid| FileError::content(file, &invalid))?;
    if !secret.bytes().contains(&b':') {
        return Err(FileError::content(file, &"is not user:password"));
    }
    let value = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(secret.bytes())));
    let mut value =
        HeaderValue::from_str(&value).map_err(|error| FileError::content(file, &error))?;
    value.set_sensitive(true);
    Ok(value)
}

// === impl Transport ===

impl Transport {
    /// The client for the upstream. It is made anew when one of its files changes.
    pub(super) async fn new(config: &Config, reloads: &Reloads) -> Result<Self, SetupError> {
        let (attempt_timeout, paths, config) =
            (config.attempt_timeout, config.files(), config.clone());
        let make = move |files: &[File]| {
            let client = builder(&config, files)?.build();
            client.map_err(|error| FileError::Content {
                path: "HTTP client".into(),
                problem: chain(&error),
            })
        };
        let client = reloads.follow_any("trust for the upstream", paths, make).await?;
        Ok(Self { client, attempt_timeout })
    }

    /// A client for a service of this machine: never by a proxy.
    pub(super) fn local(config: &Config) -> Result<Self, SetupError> {
        let trust = trust::client_config(None, None, config.tls.min_version)?;
        let client = basic(config.connect_timeout).tls_backend_preconfigured(trust).build();
        let client = client.map_err(SetupError::Client)?;
        Ok(Self { client: Live::constant(client), attempt_timeout: config.attempt_timeout })
    }

    /// Asks once.
    pub(super) async fn exchange(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Response, FetchError> {
        let deadline = Instant::now() + self.attempt_timeout;
        let sending = request(&self.client.current()).send();
        let mut response = match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(FetchError::no_answer(ErrorKind::Unreachable, chain(&error)));
            }
            Err(_) => return Err(timed_out()),
        };
        let announced = response.content_length();
        let (status, headers) = (response.status(), response.headers().clone());
        let head = Head { status, headers, announced };
        let body = head.body(&mut response, deadline).await;
        head.with(body)
    }
}

impl Body for reqwest::Response {
    async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        self.chunk().await.map_err(|error| chain(&error))
    }
}

// === impl Head ===

impl Head {
    /// As much of the body as there is until the deadline, and as is wanted.
    pub(super) async fn body(&self, body: &mut impl Body, deadline: Instant) -> (Bytes, End) {
        let announced = self.announced.and_then(|length| usize::try_from(length).ok());
        if self.status.is_success() && announced.is_some_and(|length| length > self.cap()) {
            return (Bytes::new(), End::TooLarge);
        }
        read(body, self.cap(), deadline).await
    }

    fn cap(&self) -> usize {
        if self.status.is_success() { MAX_BODY } else { MAX_ERROR_BODY }
    }

    /// The answer with that body.
    ///
    /// The status of an error says enough without its body, or with the first piece of it: such an
    /// answer comes back even if it was cut. A success is nothing without all of its body.
    pub(super) fn with(self, (body, end): (Bytes, End)) -> Result<Response, FetchError> {
        let cap = self.cap();
        let Self { status, headers, announced: _ } = self;
        match end {
            End::Cut(why) if status.is_success() => {
                return Err(FetchError::no_answer(ErrorKind::Unreachable, why));
            }
            End::TimedOut if status.is_success() => return Err(timed_out()),
            _ => {}
        }
        let compressed = headers.contains_key(header::CONTENT_ENCODING);
        let (body, end) = if is_gzip(&headers) { gunzip(body, end, cap) } else { (body, end) };
        Ok(Response { status: status.as_u16(), headers, body, end, compressed })
    }
}

// === impl Response ===

impl Response {
    pub(super) fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }
}

fn basic(connect_timeout: Duration) -> ClientBuilder {
    Client::builder()
        // The credentials are for this host only.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        // Repeating is decided in one place, and not here.
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_mins(1))
        .pool_max_idle_per_host(MAX_IDLE)
        .tcp_nodelay(true)
        .user_agent(USER_AGENT)
}

/// A client by the configuration. The files are those of [`Config::files`].
fn builder(config: &Config, files: &[File]) -> Result<ClientBuilder, FileError> {
    let mut builder = basic(config.connect_timeout).tls_backend_preconfigured(config.trust(files)?);
    if let Some(Via { proxy, authorization }) = config.via(files)? {
        let mut proxy = Proxy::all(proxy.to_string())
            .map_err(|error| FileError::Content { path: "proxy".into(), problem: chain(&error) })?;
        if let Some(authorization) = authorization {
            proxy = proxy.custom_http_auth(authorization);
        }
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

/// There was no answer in the time of an attempt.
pub(super) fn timed_out() -> FetchError {
    let detail = "no complete answer in the time of an attempt";
    FetchError::no_answer(ErrorKind::Timeout, detail.to_owned())
}

/// Reads a body up to the cap, and not a byte further than the piece that passes it.
async fn read(body: &mut impl Body, cap: usize, deadline: Instant) -> (Bytes, End) {
    // Most bodies come in one piece, which need not be copied.
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    let end = loop {
        let piece = match timeout_at(deadline, body.piece()).await {
            Err(_) => break End::TimedOut,
            Ok(Err(why)) => break End::Cut(why),
            Ok(Ok(None)) => break End::Complete,
            Ok(Ok(Some(piece))) => piece,
        };
        let room = cap - first.len() - all.len();
        let fits = piece.slice(..piece.len().min(room));
        if first.is_empty() && all.is_empty() {
            first = fits;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&fits);
        }
        if piece.len() > room {
            break End::TooLarge;
        }
    };
    (if all.is_empty() { first } else { all.freeze() }, end)
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.map(str::trim).is_some_and(|encoding| {
        encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
    })
}

/// Undoes a compression that nobody asked for. What can't be undone is left as it is, and will
/// be found to be no job.
fn gunzip(body: Bytes, end: End, cap: usize) -> (Bytes, End) {
    use std::io::Read as _;

    let mut plain = Vec::new();
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    match flate2::read::MultiGzDecoder::new(&*body).take(limit).read_to_end(&mut plain) {
        Ok(_) if plain.len() > cap => {
            plain.truncate(cap);
            (plain.into(), End::TooLarge)
        }
        Err(_) if end == End::Complete => (body, end),
        // Of a body that was cut, the first piece is worth having.
        Ok(_) | Err(_) => (plain.into(), end),
    }
}
