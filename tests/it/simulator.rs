//! The simulated cloud, asked over its REST API as a client of the real one would.

use std::{net::SocketAddr, time::Duration};

use jobgate::simulator::{self, Script};
use serde_json::{Value, json};

use crate::support::cloud::{Answer, http, send, simulator};

const USERS: &str = r#"
[tokens]
accept = "issued"
known = ["known-token"]
[tokens.users]
ann = "right"
"#;

/// Asks for a job with a token.
async fn job(address: SocketAddr, project: &str, job: &str, token: &str) -> Answer {
    let url = format!("http://{address}/v1/{project}/jobs/{job}");
    send(http().get(url).header("x-auth-token", token)).await
}

/// Asks for a token for project `p`.
async fn token(address: SocketAddr, user: &str, password: &str, scope: &Value) -> Answer {
    let user = json!({"name": user, "password": password, "domain": {"name": "d"}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let body = json!({"auth": {"identity": identity, "scope": scope}}).to_string();
    send(http().post(format!("http://{address}/v3/auth/tokens")).body(body)).await
}

async fn token_of_ann(address: SocketAddr, scope: &Value) -> String {
    let answer = token(address, "ann", "right", scope).await;
    assert_eq!(answer.status, 201);
    assert!(answer.body["token"]["expires_at"].as_str().unwrap().ends_with('Z'));
    answer.headers["x-subject-token"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn users_get_tokens_that_are_good_for_their_project() {
    let address = simulator(USERS).await;
    let project = json!({"project": {"id": "p"}});
    for (user, password) in [("ann", "wrong"), ("bob", "right")] {
        let answer = token(address, user, password, &project).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (401, &json!(401)));
    }
    let good = token_of_ann(address, &project).await;
    for (project, token, status, code) in [
        ("p", &*good, 404, json!({"error": {"code": "common.0011", "message": "query job fail"}})),
        ("p", "known-token", 404, Value::Null),
        ("q", &good, 400, Value::Null),
    ] {
        let answer = job(address, project, "none", token).await;
        assert_eq!(answer.status, status);
        if !code.is_null() {
            assert_eq!(answer.body, code);
        }
    }
    let other = job(address, "q", "none", &good).await;
    assert_eq!(other.body["error"]["code"], "Common.0018");
    let unscoped = token_of_ann(address, &json!({"domain": {"name": "d"}})).await;
    assert_eq!(job(address, "p", "none", &unscoped).await.body["error"]["code"], "Common.0018");
}

#[tokio::test]
async fn no_token_and_a_made_up_token_are_refused() {
    let address = simulator(USERS).await;
    let none = send(http().get(format!("http://{address}/v1/p/jobs/j"))).await;
    for answer in [none, job(address, "p", "j", "made-up").await] {
        assert_eq!((answer.status, &answer.body["error_code"]), (401, &json!("APIGW.0301")));
        assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().unwrap());
    }
}

#[tokio::test]
async fn a_token_ends() {
    let address = simulator("[tokens]\naccept = \"issued\"\nlifetime = \"0s\"\n").await;
    let token = token_of_ann(address, &json!({"project": {"id": "p"}})).await;
    let answer = job(address, "p", "j", &token).await;
    assert_eq!((answer.status, &answer.body["error_code"]), (401, &json!("APIGW.0307")));
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_throttled_alone() {
    let address = simulator("[throttle]\nlimit = 2\nper = \"1h\"\n").await;
    for status in [404, 404, 429, 429] {
        let answer = job(address, "p", "j", "busy").await;
        assert_eq!(answer.status, status);
        if status == 429 {
            assert_eq!(answer.body["error_code"], "APIGW.0308");
        }
    }
    assert_eq!(job(address, "p", "j", "calm").await.status, 404);
}

#[tokio::test]
async fn a_backup_is_started_checked_restored_and_deleted() {
    let address = simulator("").await;
    let post = |path: &str, body: &Value| {
        let url = format!("http://{address}/v2/p/cloudbackups{path}");
        send(http().post(url).header("x-auth-token", "t").body(body.to_string()))
    };
    let volume = "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc";
    let good = json!({"backup": {"volume_id": volume, "name": "mine"}});
    for (path, body) in [
        ("", &good),
        ("/b1/restore", &json!({"restore": {"volume_id": volume}})),
        ("/b1", &json!({})),
    ] {
        let answer = post(path, body).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        let id = answer.body["job_id"].as_str().unwrap();
        let job = job(address, "p", id, "t").await;
        assert_eq!((job.status, &job.body["job_id"]), (200, &json!(id)));
    }
    for (name, volume, code) in [
        ("", volume, "VolumeBackup.0007"),
        ("mine", "", "VolumeBackup.0010"),
        ("mine", "no uuid", "VolumeBackup.0011"),
        ("automatic", volume, "VolumeBackup.0005"),
        (&*"x".repeat(65), volume, "VolumeBackup.0003"),
    ] {
        let answer = post("", &json!({"backup": {"volume_id": volume, "name": name}})).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (400, &json!(code)));
    }
    let answer = post("", &json!([])).await;
    assert_eq!(answer.body["error"]["code"], "VolumeBackup.0002");
}

#[tokio::test]
async fn an_unknown_route_is_the_gateways_word() {
    let address = simulator("").await;
    for request in [
        http().get(format!("http://{address}/v9/else")),
        http().delete(format!("http://{address}/v1/p/jobs/j")).header("x-auth-token", "t"),
    ] {
        let answer = send(request).await;
        assert_eq!((answer.status, &answer.body["error_code"]), (404, &json!("APIGW.0101")));
    }
}

#[tokio::test]
async fn its_end_waits_for_nobody_for_long() {
    let script = Script::parse("test", "latency = \"1h\"\n").unwrap();
    let listen = ([127, 0, 0, 1], 0).into();
    let simulator = simulator::bind(simulator::Config { listen, script }).await.unwrap();
    let url = format!("http://{}/v1/p/jobs/j", simulator.local_addr());
    let waiting = tokio::spawn(http().get(url).send());
    let stop = async { tokio::time::sleep(Duration::from_millis(50)).await };
    tokio::time::timeout(Duration::from_mins(1), simulator.run(stop)).await.unwrap().unwrap();
    waiting.abort();
}
