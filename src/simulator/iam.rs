//! IAM v3: password tokens.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    faults::{Shape, error},
    world::{World, id},
};

/// `POST /v3/auth/tokens`. The token is in the header `X-Subject-Token`.
pub(super) async fn issue(State(world): State<Arc<World>>, body: String) -> Response {
    let refuse = |status, message: &str| error(status, Shape::Keystone, "", message, "");
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return refuse(400, "Expecting a JSON object in the request body.");
    };
    let auth = &body["auth"];
    let user = &auth["identity"]["password"]["user"];
    let (Some(name), Some(password)) = (user["name"].as_str(), user["password"].as_str()) else {
        return refuse(400, "Expecting a user's name and password in auth.identity.password.");
    };
    let users = &world.script.tokens.users;
    if !users.is_empty() && users.get(name).is_none_or(|known| known != password) {
        return refuse(401, "The username or password is wrong.");
    }
    let project = &auth["scope"]["project"];
    let project_id = project["id"].as_str().or(project["name"].as_str()).map(str::to_owned);
    let project_name = project["name"].as_str().or(project["id"].as_str());
    let domain = json!({"id": id(), "name": user["domain"]["name"].as_str().unwrap_or("demo")});
    let now = Timestamp::now();
    let until = now.checked_add(world.script.tokens.lifetime).unwrap_or(Timestamp::MAX);
    let mut token = json!({
        "methods": ["password"],
        "issued_at": format!("{now:.6}"),
        "expires_at": format!("{until:.6}"),
        "user": {"id": id(), "name": name, "domain": domain},
        "roles": [{"id": id(), "name": "vbs_adm"}],
    });
    if let Some(project_id) = &project_id {
        let url = format!("http://{}/v2/{project_id}", world.address);
        token["project"] = json!({"id": project_id, "name": project_name, "domain": domain});
        token["catalog"] = json!([{"type": "vbsv2", "name": "vbs", "id": id(), "endpoints": [
            {"id": id(), "interface": "public", "region": "sim", "region_id": "sim", "url": url},
        ]}]);
    }
    let mut response = (StatusCode::CREATED, Json(json!({"token": token}))).into_response();
    let Some(issued) = world.issue(project_id) else {
        return refuse(503, "There are too many tokens.");
    };
    if let Ok(value) = HeaderValue::from_str(&issued) {
        response.headers_mut().insert("x-subject-token", value);
    }
    response
}
