//! Tokens of IAM v3 for a user's password. Source: "Obtaining a User Token Through Password
//! Authentication" of the Identity and Access Management API reference, and Keystone's API v3.

use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use super::{
    Pass,
    keeper::{Issued, Issuer},
    source::SecretSource,
};
use crate::{
    files::{FileError, Live, Reloads},
    upstream::{
        BaseUrl, FetchError,
        error::ErrorKind,
        redact,
        secret::Secret,
        token::Token,
        transport::{Response, Transport},
    },
};

/// The most bytes of a request without growing. Names and passwords are far shorter.
const MAX_QUESTION: usize = 16 << 10;

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
    expires_at: String,
    issued_at: Option<String>,
}

// === impl Iam ===

impl Iam {
    pub(super) async fn new(
        login: &PasswordLogin,
        transport: Transport,
        reloads: &Reloads,
    ) -> Result<Self, FileError> {
        let password = SecretSource::follow("password", [Some(&login.password)], reloads).await?;
        Ok(Self { login: login.clone(), password, transport })
    }
}

impl Issuer for Iam {
    const RENEWS: bool = true;

    async fn issue(&mut self) -> Result<Issued, FetchError> {
        let [Some(password)] = &*self.password.current() else {
            return Err(unavailable("no password".to_owned()));
        };
        let url = format!("{}/v3/auth/tokens", self.login.url.as_str());
        let body = question(&self.login, &password.text());
        let exchange = self.transport.exchange(|client| {
            let json = HeaderValue::from_static("application/json");
            client.post(url).header(http::header::CONTENT_TYPE, json).body(body)
        });
        let answer =
            exchange.await.map_err(|error| unavailable(format!("IAM: {}", error.detail)))?;
        read(&answer, password)
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
fn read(answer: &Response, password: &Secret) -> Result<Issued, FetchError> {
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
    let times = serde_json::from_slice::<Answer>(&answer.body).ok().and_then(|answer| {
        let Times { expires_at, issued_at } = answer.token;
        let issued = issued_at.and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now);
        Some((expires_at.parse::<Timestamp>().ok()?, issued))
    });
    let (until, issued) = times
        .ok_or_else(|| unavailable("IAM's answer does not say when the token ends".to_owned()))?;
    // By IAM's own clock, whatever ours says.
    let lifetime = until.duration_since(issued).try_into().unwrap_or_default();
    Ok(Issued { pass: Pass::Token(token), lifetime: Some(lifetime) })
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
