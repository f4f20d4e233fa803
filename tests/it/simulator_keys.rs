//! Signed requests to the simulated cloud, and the temporary keys of its metadata service.

use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp};
use jobgate::signing;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::cloud::{Answer, http, send, simulator};

const KEYS: &str = r#"
[tokens]
accept = "issued"
[keys.known]
AK = "secret"
OTHER = "other secret"
"#;

/// A request for a job of project `p`, signed.
struct Signed<'a> {
    address: SocketAddr,
    access_key: &'a str,
    secret_key: &'a str,
    date: Timestamp,
    headers: Vec<(&'static str, String)>,
}

// === impl Signed ===

impl Signed<'_> {
    fn new(address: SocketAddr) -> Self {
        let headers = vec![("host", address.to_string())];
        Self { address, access_key: "AK", secret_key: "secret", date: Timestamp::now(), headers }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn request(&self) -> RequestBuilder {
        let (path, date) = ("/v1/p/jobs/none", signing::date(self.date));
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let signed = signing::Request {
            method: "GET",
            path,
            query: &[],
            headers: &headers,
            date: &date,
            body: b"",
        };
        let authorization =
            signing::authorization(self.access_key, self.secret_key.as_bytes(), &signed);
        let mut request = http().get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.header(signing::DATE_HEADER, date).header("authorization", authorization)
    }

    async fn send(&self) -> Answer {
        send(self.request()).await
    }
}

/// Let in: there is no such job.
fn let_in(answer: &Answer) {
    assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!("common.0011")));
}

fn refused(answer: &Answer, why: &str) {
    assert_eq!((answer.status, &answer.body["error_code"]), (401, &json!("APIGW.0301")), "{why}");
    let message = answer.body["error_msg"].as_str().unwrap();
    let text = message.strip_prefix("Incorrect IAM authentication information: ").unwrap();
    assert!(text.starts_with(why), "{text}");
}

/// A wrong signature by the access key.
fn wrong(address: SocketAddr) -> Signed<'static> {
    Signed { secret_key: "wrong", ..Signed::new(address) }
}

#[tokio::test]
async fn a_signed_request_is_let_in() {
    let address = simulator(KEYS).await;
    let_in(&Signed::new(address).send().await);
    let_in(&Signed::new(address).with("x-project-id", "p").send().await);
    let answer = Signed::new(address).with("x-project-id", "q").send().await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &json!("Common.0018")));
}

#[tokio::test]
async fn what_was_not_signed_is_refused() {
    let address = simulator(KEYS).await;
    let verify = "verify aksk signature fail";
    refused(&wrong(address).send().await, verify);
    let unknown = Signed { access_key: "NONE", ..Signed::new(address) };
    refused(&unknown.send().await, "ak NONE not exist");
    let elsewhere = format!("http://{address}/v1/p/jobs/another");
    let mut request = Signed::new(address).request().build().unwrap();
    *request.url_mut() = elsewhere.parse().unwrap();
    refused(&send(RequestBuilder::from_parts(http(), request)).await, verify);
    let not_signed = http().get(format!("http://{address}/v1/p/jobs/none"));
    refused(&send(not_signed.header("authorization", "Bearer t")).await, verify);
}

#[tokio::test]
async fn the_body_is_part_of_a_signature() {
    let address = simulator(KEYS).await;
    let (path, host) = ("/v2/p/cloudbackups", address.to_string());
    let date = signing::date(Timestamp::now());
    let headers = [("host", &*host)];
    for (sent, code) in [("[]", Some("VolumeBackup.0002")), ("{}", None)] {
        let request = signing::Request {
            method: "POST",
            path,
            query: &[],
            headers: &headers,
            date: &date,
            body: b"[]",
        };
        let authorization = signing::authorization("AK", b"secret", &request);
        let request = http().post(format!("http://{address}{path}")).body(sent);
        let request = request.header(signing::DATE_HEADER, &date);
        let answer = send(request.header("authorization", authorization)).await;
        match code {
            Some(code) => assert_eq!(answer.body["error"]["code"], code),
            None => refused(&answer, "verify aksk signature fail"),
        }
    }
}

#[tokio::test]
async fn a_date_is_good_for_fifteen_minutes() {
    let address = simulator(KEYS).await;
    for (minutes, good) in [(-20, false), (-10, true), (10, true), (20, false)] {
        let date = Timestamp::now() + SignedDuration::from_mins(minutes);
        let answer = Signed { date, ..Signed::new(address) }.send().await;
        if good {
            let_in(&answer);
        } else {
            refused(&answer, "signature expired");
        }
    }
}

#[tokio::test]
async fn five_wrong_signatures_lock_their_key_only() {
    let address = simulator(KEYS).await;
    for _ in 0..5 {
        refused(&wrong(address).send().await, "verify aksk signature fail");
    }
    let locked = "AK access failed to reach the limit,forbidden";
    refused(&wrong(address).send().await, locked);
    refused(&Signed::new(address).send().await, locked);
    let other = Signed { access_key: "OTHER", secret_key: "other secret", ..Signed::new(address) };
    let_in(&other.send().await);
}

#[tokio::test]
async fn a_lock_is_as_long_as_the_script_says() {
    let script = "[keys]\nknown = { AK = \"secret\" }\nlock_after = 2\nlock_for = \"0s\"\n";
    let address = simulator(script).await;
    for _ in 0..4 {
        refused(&wrong(address).send().await, "verify aksk signature fail");
    }
    let_in(&Signed::new(address).send().await);
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_throttled() {
    let address = simulator(&format!("{KEYS}[throttle]\nlimit = 1\nper = \"1h\"\n")).await;
    let_in(&Signed::new(address).send().await);
    let answer = Signed::new(address).send().await;
    assert_eq!((answer.status, &answer.body["error_code"]), (429, &json!("APIGW.0308")));
}

/// Fetches temporary keys.
async fn credential(address: SocketAddr) -> Value {
    let url = format!("http://{address}/openstack/latest/securitykey");
    let answer = send(http().get(url)).await;
    assert_eq!(answer.status, 200);
    answer.body["credential"].clone()
}

/// A request that is signed with temporary keys.
fn temporary(address: SocketAddr, credential: &Value) -> Signed<'_> {
    let text = |name: &str| credential[name].as_str().unwrap();
    Signed { access_key: text("access"), secret_key: text("secret"), ..Signed::new(address) }
}

#[tokio::test]
async fn temporary_keys_need_their_own_security_token() {
    let address = simulator(KEYS).await;
    let (one, two) = (credential(address).await, credential(address).await);
    let token = |credential: &Value| credential["securitytoken"].as_str().unwrap().to_owned();
    let end: Timestamp = one["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(end > Timestamp::now());
    let signed = |with: &str| temporary(address, &one).with("x-security-token", with);
    let_in(&signed(&token(&one)).send().await);
    refused(&signed(&token(&two)).send().await, "decrypt token fail");
    refused(&temporary(address, &one).send().await, "ak ");
    let permanent = Signed::new(address).with("x-security-token", &token(&one));
    refused(&permanent.send().await, "decrypt token fail");
    // It need not be signed.
    let unsigned = temporary(address, &one).request().header("x-security-token", token(&one));
    let_in(&send(unsigned).await);
}

#[tokio::test]
async fn temporary_keys_end() {
    let address = simulator("[metadata]\nlifetime = \"0s\"\n").await;
    let credential = credential(address).await;
    let token = credential["securitytoken"].as_str().unwrap();
    let signed = temporary(address, &credential).with("x-security-token", token);
    refused(&signed.send().await, "token expires, expires_at: ");
}

#[tokio::test]
async fn the_metadata_service_has_session_tokens_as_the_script_says() {
    for (session, put, bare) in [("off", 404, 200), ("optional", 200, 200), ("required", 200, 401)]
    {
        let address = simulator(&format!("[metadata]\nsession = \"{session}\"\n")).await;
        let token = |ttl: &str| {
            let url = format!("http://{address}/meta-data/latest/api/token");
            http().put(url).header("x-metadata-token-ttl-seconds", ttl).send()
        };
        let keys = |token: Option<&str>| {
            let request = http().get(format!("http://{address}/openstack/latest/securitykey"));
            match token {
                Some(token) => send(request.header("x-metadata-token", token)),
                None => send(request),
            }
        };
        let answer = token("60").await.unwrap();
        assert_eq!(answer.status(), put, "{session}");
        assert_eq!(keys(None).await.status, bare, "{session}");
        if put == 200 {
            let token = answer.text().await.unwrap();
            assert_eq!(keys(Some(&token)).await.status, 200, "{session}");
            assert_eq!(keys(Some("made-up")).await.status, 401, "{session}");
        }
        for ttl in ["0", "21601", "soon"] {
            let expected = if put == 404 { 404 } else { 400 };
            assert_eq!(token(ttl).await.unwrap().status(), expected, "{session} {ttl}");
        }
    }
}
