//! IAM of the simulated cloud: users, projects and domains by name or id; tokens told about and
//! ended.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::cloud::{Answer, http, send, simulator};

const PEOPLE: &str = r#"
[tokens]
accept = "issued"
known = ["known-token"]
[tokens.users]
ann = { password = "right", id = "u-1", domain = "d", domain_id = "d-1" }
[tokens.projects]
eu-de = { id = "p-1", domain = "d", domain_id = "d-1" }
"#;

fn url(address: SocketAddr) -> String {
    format!("http://{address}/v3/auth/tokens")
}

/// Asks for a token for a user and a project.
async fn token(address: SocketAddr, user: &Value, project: &Value) -> Answer {
    let mut user = user.clone();
    user["password"] = json!("right");
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let mut auth = json!({"identity": identity});
    if !project.is_null() {
        auth["scope"] = json!({"project": project});
    }
    send(http().post(url(address)).body(json!({"auth": auth}).to_string())).await
}

async fn token_of_ann(address: SocketAddr) -> String {
    let answer = token(address, &json!({"id": "u-1"}), &json!({"id": "p-1"})).await;
    answer.headers["x-subject-token"].to_str().unwrap().to_owned()
}

/// Asks about a token, or ends it, with another one.
async fn about(address: SocketAddr, method: Method, caller: &str, token: &str) -> Answer {
    let request = http().request(method, url(address));
    send(request.header("x-auth-token", caller).header("x-subject-token", token)).await
}

#[tokio::test]
async fn users_and_projects_go_by_name_or_id() {
    let address = simulator(PEOPLE).await;
    let (by_id, domain) = (json!({"id": "d-1"}), json!({"name": "d"}));
    for (user, project, status) in [
        (json!({"name": "ann", "domain": domain}), json!({"id": "p-1"}), 201),
        (json!({"name": "ann", "domain": by_id}), json!({"name": "eu-de"}), 201),
        (json!({"id": "u-1"}), json!({"name": "eu-de", "domain": domain}), 201),
        (json!({"id": "u-1"}), json!({"name": "eu-de", "domain": by_id}), 201),
        (json!({"name": "ann", "domain": {"name": "e"}}), json!({"id": "p-1"}), 401),
        (json!({"id": "ann"}), json!({"id": "p-1"}), 401),
        (json!({"id": "u-1"}), json!({"name": "eu-nl"}), 401),
        (json!({"id": "u-1"}), json!({"name": "eu-de", "domain": {"id": "d-2"}}), 401),
        (json!({"name": "ann"}), json!({"id": "p-1"}), 400),
        (json!({"id": "u-1"}), json!({}), 400),
    ] {
        let answer = token(address, &user, &project).await;
        assert_eq!(answer.status, status, "{user} {project}");
        if status == 201 {
            let token = &answer.body["token"];
            assert_eq!(
                (&token["user"]["id"], &token["user"]["name"]),
                (&json!("u-1"), &"ann".into())
            );
            assert_eq!(token["project"]["id"], "p-1");
            assert_eq!(token["project"]["name"], "eu-de");
            let token = answer.headers["x-subject-token"].to_str().unwrap();
            let job = http().get(format!("http://{address}/v1/p-1/jobs/none"));
            assert_eq!(send(job.header("x-auth-token", token)).await.status, 404);
        } else {
            assert_eq!(answer.body["error"]["code"], status);
        }
    }
    let unscoped = token(address, &json!({"id": "u-1"}), &Value::Null).await;
    assert_eq!(unscoped.status, 201);
    assert!(unscoped.body["token"].get("project").is_none());
}

#[tokio::test]
async fn a_good_token_may_ask_about_tokens() {
    let address = simulator(PEOPLE).await;
    let token = token_of_ann(address).await;
    for caller in [&*token, "known-token"] {
        let answer = about(address, Method::GET, caller, &token).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["x-subject-token"], token);
        assert_eq!(answer.body["token"]["project"]["id"], "p-1");
        assert!(answer.body["token"]["expires_at"].is_string());
    }
    assert_eq!(about(address, Method::GET, "made-up", &token).await.status, 401);
    assert_eq!(about(address, Method::GET, &token, "made-up").await.status, 404);
    assert_eq!(send(http().get(url(address))).await.status, 401);
    let none = http().get(url(address)).header("x-auth-token", &token);
    assert_eq!(send(none).await.status, 400);
}

#[tokio::test]
async fn a_revoked_token_is_good_for_nothing() {
    let address = simulator(PEOPLE).await;
    let (token, other) = (token_of_ann(address).await, token_of_ann(address).await);
    assert_eq!(about(address, Method::DELETE, "made-up", &token).await.status, 401);
    assert_eq!(about(address, Method::DELETE, &other, &token).await.status, 204);
    assert_eq!(about(address, Method::DELETE, &other, &token).await.status, 404);
    assert_eq!(about(address, Method::GET, &other, &token).await.status, 404);
    assert_eq!(about(address, Method::GET, &token, &other).await.status, 401);
    let job = |token: &str| {
        let url = format!("http://{address}/v1/p-1/jobs/none");
        send(http().get(url).header("x-auth-token", token))
    };
    let answer = job(&token).await;
    assert_eq!((answer.status, &answer.body["error_code"]), (401, &json!("APIGW.0307")));
    assert_eq!(job(&other).await.status, 404);
}
