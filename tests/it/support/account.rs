//! A cloud with one user: IAM, and a job API that takes the tokens that IAM has given.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use jobgate::upstream::{BaseUrl, Credentials, Domain, PasswordLogin, SecretSource, Subject};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The cloud. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    /// Closed when the job `slow` is answered.
    slow: Arc<Semaphore>,
}

struct Inner {
    password: String,
    /// Of a token.
    lifetime: Duration,
    /// Before IAM answers.
    latency: Duration,
    /// What IAM answers instead.
    fault: Option<StatusCode>,
    /// Whether the job API takes tokens at all.
    takes_tokens: bool,
    good: HashSet<String>,
    logins: Vec<Value>,
    asked: Vec<String>,
}

// === impl Account ===

impl Account {
    pub(crate) async fn new(password: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Inner {
            password: password.to_owned(),
            lifetime: Duration::from_hours(24),
            latency: Duration::ZERO,
            fault: None,
            takes_tokens: true,
            good: HashSet::new(),
            logins: Vec::new(),
            asked: Vec::new(),
        };
        let slow = Arc::new(Semaphore::new(0));
        let account = Self { address, inner: Arc::new(Mutex::new(inner)), slow };
        let routes = Router::new()
            .route("/v3/auth/tokens", post(login))
            .route("/v1/{project}/jobs/{job}", get(job))
            .with_state(account.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        account
    }

    /// How a gateway logs in, with the password from here.
    pub(crate) fn login(&self, password: SecretSource) -> Credentials {
        let domain = Domain::Name("acme".to_owned());
        Credentials::Password(PasswordLogin {
            url: BaseUrl::parse(&format!("http://{}", self.address)).unwrap(),
            user: Subject::Name { name: "ann".to_owned(), domain },
            project: Subject::Id { id: "p1".to_owned() },
            password,
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap())
    }

    /// What IAM answers from now on, instead of a token.
    pub(crate) fn fails(&self, status: Option<StatusCode>) {
        self.with(|it| it.fault = status);
    }

    pub(crate) fn takes(&self, latency: Duration) {
        self.with(|it| it.latency = latency);
    }

    pub(crate) fn takes_no_tokens(&self) {
        self.with(|it| it.takes_tokens = false);
    }

    /// This token is good too.
    pub(crate) fn knows(&self, token: &str) {
        self.with(|it| it.good.insert(token.to_owned()));
    }

    /// This token ends now.
    pub(crate) fn revokes_one(&self, token: &str) {
        self.with(|it| it.good.remove(token));
    }

    /// All tokens end now.
    pub(crate) fn revokes(&self) {
        self.with(|it| it.good.clear());
    }

    /// Questions for the job `slow` are answered from now on.
    pub(crate) fn answers_slow_ones(&self) {
        self.slow.close();
    }

    /// The logins there were.
    pub(crate) fn logins(&self) -> Vec<Value> {
        self.with(|it| it.logins.clone())
    }

    /// The tokens with which a job was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.with(|it| it.asked.clone())
    }
}

async fn login(State(account): State<Account>, body: String) -> Response {
    let latency = account.with(|it| it.latency);
    tokio::time::sleep(latency).await;
    let login: Value = serde_json::from_str(&body).unwrap();
    account.with(|it| {
        it.logins.push(login.clone());
        if let Some(status) = it.fault {
            return status.into_response();
        }
        let password = &login["auth"]["identity"]["password"]["user"]["password"];
        if *password != *it.password {
            let text = format!("The password {password} is wrong.");
            let body = json!({"error": {"code": 401, "message": text, "title": "Unauthorized"}});
            return (StatusCode::UNAUTHORIZED, body.to_string()).into_response();
        }
        let token = format!("iam-token-{}", it.logins.len());
        it.good.insert(token.clone());
        let now = jiff::Timestamp::now();
        let body = json!({"token": {
            "issued_at": now.to_string(),
            "expires_at": now.checked_add(it.lifetime).unwrap().to_string(),
        }});
        (StatusCode::CREATED, [("x-subject-token", token)], body.to_string()).into_response()
    })
}

/// Tells by the job's type whose token it was asked with. The project `refused` is for nobody. The
/// job `slow` takes its time, and `faulty` is missed by the first request of all.
async fn job(
    State(account): State<Account>,
    Path((project, job)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let token = headers.get("x-auth-token").map_or("", |it| it.to_str().unwrap()).to_owned();
    account.with(|it| it.asked.push(token.clone()));
    if job == "slow" {
        // There is never a permit: this ends when it is closed.
        let _ = account.slow.acquire().await;
    }
    account.with(|it| {
        if job == "faulty" && it.asked.len() == 1 {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let good = it.takes_tokens && project != "refused" && it.good.contains(&token);
        if good {
            let job = json!({"status": "RUNNING", "job_id": job, "job_type": token});
            return job.to_string().into_response();
        }
        let message = format!("The token {token} must be updated");
        let body = json!({"error_code": "APIGW.0307", "error_msg": message, "request_id": "r"});
        (StatusCode::UNAUTHORIZED, body.to_string()).into_response()
    })
}
