//! Temporary access keys from the metadata service of an elastic cloud server.
//!
//! The service gives them to servers with an agency, without a login; a session token may be asked
//! for first. Source: "Obtaining Metadata" in the Elastic Cloud Server user guide.

use http::HeaderValue;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Pass,
    iam::lifetime,
    issuer::{Issued, Issuer, NotIssued},
    key::SigningKey,
};
use crate::{
    telemetry::TraceContext,
    upstream::{
        BaseUrl, FetchError,
        error::ErrorKind,
        exchanges::{Exchange, Exchanges},
        secret::Secret,
        time,
        token::Token,
        transport::{Response, Transport},
    },
};

const KEY_PATH: &str = "/openstack/latest/securitykey";
const SESSION_PATH: &str = "/meta-data/latest/api/token";

/// How long a session token is wanted for, in seconds. It is used once.
const SESSION_TTL: &str = "60";

/// The longest session token.
const MAX_SESSION: usize = 4 << 10;

/// Where the metadata service is.
#[derive(Clone, Debug)]
pub struct MetadataService {
    /// Its address; on every server `http://169.254.169.254`.
    pub url: BaseUrl,
}

/// Asks the service for keys.
pub(super) struct Metadata {
    url: BaseUrl,
    transport: Transport,
    sessions: Exchange,
    keys: Exchange,
}

#[derive(Deserialize)]
struct Answer {
    credential: Credential,
}

#[derive(Deserialize)]
struct Credential {
    access: String,
    secret: String,
    securitytoken: String,
    expires_at: Option<String>,
}

// === impl Metadata ===

impl Metadata {
    pub(super) fn new(
        service: &MetadataService,
        transport: Transport,
        exchanges: &Exchanges,
    ) -> Self {
        let url = service.url.clone();
        let sessions = exchanges.of("PUT /meta-data/latest/api/token", &url);
        let keys = exchanges.of("GET /openstack/latest/securitykey", &url);
        Self { url, transport, sessions, keys }
    }

    /// A session token; `None` from a service that has no such thing.
    async fn session(
        &self,
        span: Option<&TraceContext>,
    ) -> Result<Option<HeaderValue>, FetchError> {
        let url = format!("{}{SESSION_PATH}", self.url.as_str());
        let running = self.sessions.begin(span, || url.clone(), 0);
        let answer = self
            .transport
            .exchange(|client| client.put(url).header("x-metadata-token-ttl-seconds", SESSION_TTL))
            .await;
        running.end(&answer);
        let answer = answer.map_err(|error| unavailable(&error))?;
        // What is longer is a page of something else.
        let body = answer.body.trim_ascii();
        if !answer.is_success() || body.len() > MAX_SESSION {
            return Ok(None);
        }
        let token = HeaderValue::from_bytes(body).ok();
        Ok(token.map(|mut token| {
            token.set_sensitive(true);
            token
        }))
    }
}

impl Issuer for Metadata {
    const RENEWS: bool = true;

    async fn issue(&mut self, span: Option<&TraceContext>) -> Result<Issued, NotIssued> {
        let session = self.session(span).await?;
        let url = format!("{}{KEY_PATH}", self.url.as_str());
        let running = self.keys.begin(span, || url.clone(), 0);
        let answer = self
            .transport
            .exchange(|client| {
                let request = client.get(url);
                match session {
                    Some(session) => request.header("x-metadata-token", session),
                    None => request,
                }
            })
            .await;
        running.end(&answer);
        Ok(read(&answer.map_err(|error| unavailable(&error))?)?)
    }

    async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}

pub(super) fn read(answer: &Response) -> Result<Issued, FetchError> {
    if !answer.is_success() {
        let status = answer.status;
        return Err(failed(format!(
            "the metadata service answered with HTTP status {status}; has this server an agency?"
        )));
    }
    // The parser's own words may quote the key.
    let parsed = serde_json::from_slice::<Answer>(&answer.body);
    let Answer { credential } = parsed
        .map_err(|_| failed("the answer of the metadata service is no temporary key".to_owned()))?;
    let secret = |text: &str| {
        Secret::line(text.as_bytes()).map_err(|invalid| {
            failed(format!("a part of the key of the metadata service {invalid}"))
        })
    };
    let token = Token::from_secret(secret(&credential.securitytoken)?).ok();
    let key = SigningKey::new(secret(&credential.access)?, secret(&credential.secret)?, token);
    let until = credential.expires_at.as_deref().and_then(time::parse);
    let lifetime = lifetime(until, Timestamp::now()).map_err(|why| failed(why.to_owned()))?;
    Ok(Issued { pass: Pass::Key(key), lifetime })
}

fn unavailable(error: &FetchError) -> FetchError {
    failed(format!("the metadata service: {}", error.detail))
}

fn failed(detail: String) -> FetchError {
    FetchError::no_answer(ErrorKind::GatewayCredentialsUnavailable, detail)
}
