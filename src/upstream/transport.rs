//! The HTTP client: one request, and what came back of the answer. Trust, proxy and limits are here.

use std::{path::PathBuf, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, RequestBuilder, redirect, tls};
use secrecy::zeroize::Zeroizing;
use tokio::time::{Instant, timeout_at};

use super::{
    BaseUrl, FetchError, SetupError,
    error::{ErrorKind, chain},
    secret::Secret,
};
use crate::files::{File, FileError, Live, Reloads};

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

/// TLS towards the upstream.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The certificates that are trusted, in PEM; without, those of the system.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate chain and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[default]
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
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

// === impl Transport ===

impl Transport {
    /// The client for the upstream. It is made anew when one of its files changes.
    pub(super) async fn new(config: &Config, reloads: &Reloads) -> Result<Self, SetupError> {
        let Config { attempt_timeout, tls, proxy, .. } = config.clone();
        let identity = tls.identity.clone().map(|(chain, key)| [chain, key]);
        let credentials = proxy.as_ref().and_then(|proxy| proxy.credentials.clone());
        let paths: Vec<_> = tls
            .ca
            .iter()
            .cloned()
            .chain(identity.into_iter().flatten())
            .chain(credentials)
            .collect();
        let config = config.clone();
        let client = if paths.is_empty() {
            Live::constant(builder(&config, &[])?.build().map_err(SetupError::Client)?)
        } else {
            let make = move |files: &[File]| {
                let client = builder(&config, files)?.build();
                // Of a pair that is none, the key is at fault as often as not.
                let key =
                    config.tls.identity.is_some().then(|| usize::from(config.tls.ca.is_some()) + 1);
                client.map_err(|error| wrong(files.get(key.unwrap_or(0)), &chain(&error)))
            };
            reloads.follow("trust for the upstream", paths, make).await?
        };
        Ok(Self { client, attempt_timeout })
    }

    /// A client for a service of this machine: never by a proxy.
    pub(super) fn local(config: &Config) -> Result<Self, SetupError> {
        let client = basic(config.connect_timeout).build().map_err(SetupError::Client)?;
        Ok(Self { client: Live::constant(client), attempt_timeout: config.attempt_timeout })
    }

    /// Asks once.
    ///
    /// The status of an error says enough without its body, or with the first piece of it: such an
    /// answer comes back even if it was cut. A success is nothing without all of its body.
    pub(super) async fn exchange(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Response, FetchError> {
        let deadline = Instant::now() + self.attempt_timeout;
        let sending = request(&self.client.current()).send();
        let response = match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(FetchError::no_answer(ErrorKind::Unreachable, chain(&error)));
            }
            Err(_) => return Err(self.timed_out()),
        };
        let status = response.status();
        let headers = response.headers().clone();
        let cap = if status.is_success() { MAX_BODY } else { MAX_ERROR_BODY };
        let (body, end) = read(response, cap, deadline).await;
        match end {
            End::Cut(why) if status.is_success() => {
                return Err(FetchError::no_answer(ErrorKind::Unreachable, why));
            }
            End::TimedOut if status.is_success() => return Err(self.timed_out()),
            _ => {}
        }
        let compressed = headers.contains_key(header::CONTENT_ENCODING);
        let (body, end) = if is_gzip(&headers) { gunzip(body, end, cap) } else { (body, end) };
        Ok(Response { status: status.as_u16(), headers, body, end, compressed })
    }

    fn timed_out(&self) -> FetchError {
        FetchError::no_answer(
            ErrorKind::Timeout,
            format!("no complete answer within {:?}", self.attempt_timeout),
        )
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
        .user_agent(concat!("jobgate/", env!("CARGO_PKG_VERSION")))
}

/// A client by the configuration. The files are those it names, in the order CA, certificate, key,
/// credentials of the proxy.
fn builder(config: &Config, files: &[File]) -> Result<ClientBuilder, FileError> {
    let Config { attempt_timeout: _, connect_timeout, tls, proxy } = config;
    let mut files = files.iter();
    let mut builder = basic(*connect_timeout).tls_version_min(match tls.min_version {
        TlsVersion::V1_2 => tls::Version::TLS_1_2,
        TlsVersion::V1_3 => tls::Version::TLS_1_3,
    });
    if let Some(file) = tls.ca.as_ref().and_then(|_| files.next()) {
        let certificates = Certificate::from_pem_bundle(&file.bytes)
            .map_err(|error| FileError::content(file, &chain(&error)))?;
        if certificates.is_empty() {
            return Err(FileError::content(file, &"has no certificate in PEM"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    let identity = tls.identity.as_ref().and_then(|_| Some((files.next()?, files.next()?)));
    if let Some((certificates, key)) = identity {
        let pem = Zeroizing::new([&key.bytes[..], b"\n", &certificates.bytes[..]].concat());
        let identity = Identity::from_pem(&pem)
            .map_err(|error| FileError::content(certificates, &chain(&error)))?;
        builder = builder.identity(identity);
    }
    if let Some(HttpProxy { url, credentials }) = proxy {
        let mut proxy = Proxy::all(url.as_str()).map_err(|error| wrong(None, &chain(&error)))?;
        if let Some(file) = credentials.as_ref().and_then(|_| files.next()) {
            let secret =
                Secret::line(&file.bytes).map_err(|invalid| FileError::content(file, &invalid))?;
            let text = secret.text();
            let (user, password) = text
                .split_once(':')
                .ok_or_else(|| FileError::content(file, &"is not user:password"))?;
            proxy = proxy.basic_auth(user, password);
        }
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

fn wrong(file: Option<&File>, problem: &str) -> FileError {
    let path = file.map(|file| file.path.clone()).unwrap_or_default();
    FileError::Content { path, problem: problem.to_owned() }
}

/// Reads a body up to the cap, and not a byte further than the piece that passes it.
async fn read(mut response: reqwest::Response, cap: usize, deadline: Instant) -> (Bytes, End) {
    let announced = response.content_length().unwrap_or(0);
    if response.status().is_success()
        && usize::try_from(announced).is_ok_and(|announced| announced > cap)
    {
        return (Bytes::new(), End::TooLarge);
    }
    let mut body = BytesMut::new();
    let end = loop {
        match timeout_at(deadline, response.chunk()).await {
            Err(_) => break End::TimedOut,
            Ok(Err(error)) => break End::Cut(chain(&error)),
            Ok(Ok(None)) => break End::Complete,
            Ok(Ok(Some(piece))) => {
                let room = cap - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    break End::TooLarge;
                }
            }
        }
    };
    (body.freeze(), end)
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
