//! Tokens of IAM v3 for a user's password. Source: "Obtaining a User Token Through Password
//! Authentication" of the Identity and Access Management API reference, and Keystone's API v3.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use super::{
    Pass,
    issuer::{Issued, Issuer, NotIssued},
    source::SecretSource,
};
use crate::{
    files::{FileError, Live, Reloads},
    telemetry::TraceContext,
    upstream::{
        BaseUrl, FetchError,
        error::ErrorKind,
        exchanges::{Exchange, Exchanges},
        redact, retry_after,
        secret::Secret,
        time,
        token::Token,
        transport::{Response, Transport},
    },
};

/// The most bytes of a request without growing. Names and passwords are far shorter.
const MAX_QUESTION: usize = 16 << 10;

/// What lives shorter than this is of no use.
const SHORTEST: Duration = Duration::from_secs(1);

/// Who asks IAM for tokens, and for which project.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// Where IAM is, without the version.
    pub url: BaseUrl,
    /// Whose password it is.
    pub user: Subject,
    /// The project that the tokens are good for.
    pub project: Subject,
    /// The password.
    pub password: SecretSource,
}

/// A domain of IAM, which is an account of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

/// A user or project of IAM, as IAM wants to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Subject {
    /// By the id, which is like no other.
    Id {
        /// The id.
        id: String,
    },
    /// By name.
    Name {
        /// The name.
        name: String,
        /// The domain that it is in.
        domain: Domain,
    },
}

/// Asks IAM for tokens.
pub(super) struct Iam {
    login: PasswordLogin,
    password: Live<[Option<Secret>; 1]>,
    transport: Transport,
    exchange: Exchange,
}

#[derive(Serialize)]
struct Question<'a> {
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct Auth<'a> {
    identity: Identity<'a>,
    scope: Scope<'a>,
}

#[derive(Serialize)]
struct Identity<'a> {
    methods: [&'static str; 1],
    password: ByPassword<'a>,
}

#[derive(Serialize)]
struct ByPassword<'a> {
    user: UserWithPassword<'a>,
}

#[derive(Serialize)]
struct UserWithPassword<'a> {
    #[serde(flatten)]
    user: &'a Subject,
    password: &'a str,
}

#[derive(Serialize)]
struct Scope<'a> {
    project: &'a Subject,
}

#[derive(Deserialize)]
struct Answer {
    token: Times,
}

#[derive(Deserialize)]
struct Times {
    expires_at: Option<String>,
    issued_at: Option<String>,
}

// === impl Iam ===

impl Iam {
    pub(super) async fn new(
        login: &PasswordLogin,
        transport: Transport,
        reloads: &Reloads,
        exchanges: &Exchanges,
    ) -> Result<Self, FileError> {
        let password = SecretSource::follow("password", [Some(&login.password)], reloads).await?;
        let exchange = exchanges.of("POST /v3/auth/tokens", &login.url);
        Ok(Self { login: login.clone(), password, transport, exchange })
    }
}

impl Issuer for Iam {
    const RENEWS: bool = true;

    async fn issue(&mut self, span: Option<&TraceContext>) -> Result<Issued, NotIssued> {
        let [Some(password)] = &*self.password.current() else {
            return Err(unavailable("no password".to_owned()).into());
        };
        let url = format!("{}/v3/auth/tokens", self.login.url.as_str());
        let body = question(&self.login, &password.text());
        let running = self.exchange.begin(span, || url.clone(), 0);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        running.write(&mut headers);
        let exchange =
            self.transport.exchange(|client| client.post(url).headers(headers).body(body));
        let answer = exchange.await;
        running.end(&answer);
        let answer = answer.map_err(|error| unavailable(format!("IAM: {}", error.detail)))?;
        read(&answer, password).map_err(|error| {
            let wait = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = wait.and_then(|it| retry_after::parse(it, Timestamp::now()));
            NotIssued { error, retry_after }
        })
    }

    async fn changed(&mut self) {
        self.password.changed().await;
    }
}

/// The request. It is wiped when it has been sent.
fn question(login: &PasswordLogin, password: &str) -> Bytes {
    let user = UserWithPassword { user: &login.user, password };
    let identity = Identity { methods: ["password"], password: ByPassword { user } };
    let auth = Auth { identity, scope: Scope { project: &login.project } };
    // Growing would leave copies behind.
    let mut json = Zeroizing::new(Vec::with_capacity(MAX_QUESTION));
    // Texts in memory can always be written.
    let _ = serde_json::to_writer(&mut *json, &Question { auth });
    Bytes::from_owner(json)
}

/// The token in the answer, or why there is none.
pub(super) fn read(answer: &Response, password: &Secret) -> Result<Issued, FetchError> {
    if !answer.is_success() {
        let status = answer.status;
        let text = String::from_utf8_lossy(&answer.body);
        let text = redact::excerpt(&text, std::slice::from_ref(password));
        let detail = format!("IAM answered with HTTP status {status}: {text}");
        return Err(match status {
            // A wrong user, password or project; asking again does not help, and locks the user.
            400 | 401 | 403 => FetchError::no_answer(ErrorKind::GatewayCredentialsRejected, detail),
            _ => unavailable(detail),
        });
    }
    let token = answer.headers.get("x-subject-token").map(HeaderValue::as_bytes);
    let token = token.and_then(|token| Token::parse(token).ok());
    let token =
        token.ok_or_else(|| unavailable("IAM's answer has no X-Subject-Token".to_owned()))?;
    // A token whose end can't be read is a token all the same.
    let times = serde_json::from_slice::<Answer>(&answer.body).ok().map(|answer| answer.token);
    let read = |text: Option<&str>| text.and_then(time::parse);
    let until = read(times.as_ref().and_then(|times| times.expires_at.as_deref()));
    // By IAM's own clock, whatever ours says.
    let issued = read(times.as_ref().and_then(|times| times.issued_at.as_deref()));
    let lifetime = lifetime(until, issued.unwrap_or_else(Timestamp::now));
    let lifetime = lifetime.map_err(|why| unavailable(format!("IAM: {why}")))?;
    Ok(Issued { pass: Pass::Token(token), lifetime })
}

/// How long something is good that ends at one time and was issued at another.
pub(super) fn lifetime(
    until: Option<Timestamp>,
    issued: Timestamp,
) -> Result<Option<Duration>, &'static str> {
    let Some(until) = until else {
        return Ok(None);
    };
    let lifetime = Duration::try_from(until.duration_since(issued)).unwrap_or_default();
    if lifetime < SHORTEST {
        return Err("what is given has ended already; are the clocks right?");
    }
    Ok(Some(lifetime))
}

fn unavailable(detail: String) -> FetchError {
    FetchError::no_answer(ErrorKind::GatewayCredentialsUnavailable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: Subject, project: Subject) -> PasswordLogin {
        let url = BaseUrl::parse("http://iam.example").unwrap();
        PasswordLogin { url, user, project, password: SecretSource::Value(Secret::new(b"unused")) }
    }

    fn name(name: &str, domain: Domain) -> Subject {
        Subject::Name { name: name.to_owned(), domain }
    }

    #[test]
    fn a_life_is_read_as_far_as_it_can_be() {
        let time = |text: &str| time::parse(text);
        let issued = time("2026-11-24T22:00:00Z").unwrap();
        for (until, expected) in [
            (Some("2026-11-25T22:00:00.000000Z"), Ok(Some(86_400))),
            (Some("2026-11-24T23:00:00.0"), Ok(Some(3600))),
            (Some("2026-11-24T23:00:00+0000"), Ok(Some(3600))),
            (Some("soon"), Ok(None)),
            (None, Ok(None)),
            (Some("2026-11-24T22:00:00Z"), Err(())),
            (Some("2026-11-23T22:00:00Z"), Err(())),
        ] {
            let lifetime = lifetime(until.and_then(time), issued);
            let seconds = lifetime.map(|it| it.map(|it| it.as_secs())).map_err(|_| ());
            assert_eq!(seconds, expected, "{until:?}");
        }
    }

    #[test]
    fn users_and_projects_are_named_or_numbered() {
        let by_name = login(
            name("ann", Domain::Name("acme".to_owned())),
            name("eu-de", Domain::Id("d1".to_owned())),
        );
        let by_id = login(Subject::Id { id: "u1".to_owned() }, Subject::Id { id: "p1".to_owned() });
        for (login, expected) in [
            (
                by_name,
                concat!(
                    r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"ann","#,
                    r#""domain":{"name":"acme"},"password":"a\"b"}}},"scope":{"project":"#,
                    r#"{"name":"eu-de","domain":{"id":"d1"}}}}}"#
                ),
            ),
            (
                by_id,
                concat!(
                    r#"{"auth":{"identity":{"methods":["password"],"password":{"user":"#,
                    r#"{"id":"u1","password":"a\"b"}}},"scope":{"project":{"id":"p1"}}}}"#
                ),
            ),
        ] {
            assert_eq!(question(&login, "a\"b"), expected);
        }
    }
}
