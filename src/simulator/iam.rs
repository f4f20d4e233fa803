//! IAM v3: tokens for a password, told about, and ended.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    faults::{Shape, error, respond},
    identity::{self, Wrong},
    world::{World, id},
};

/// `POST /v3/auth/tokens`. The token is in the header `X-Subject-Token`.
pub(super) async fn issue(State(world): State<Arc<World>>, body: String) -> Response {
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return refuse(400, "Expecting a JSON object in the request body.");
    };
    let rules = &world.tokens.rules;
    let scope = &body["auth"]["scope"]["project"];
    let found = identity::user(rules, &body["auth"]["identity"]["password"]["user"])
        .and_then(|user| Ok((user, identity::project(rules, scope)?)));
    let (user, project) = match found {
        Ok(found) => found,
        Err(Wrong::Request(message)) => return refuse(400, message),
        Err(Wrong::Credentials(message)) => return refuse(401, message),
    };
    let now = Timestamp::now();
    let until = now.checked_add(rules.lifetime).unwrap_or(Timestamp::MAX);
    let domain = user["domain"].clone();
    let mut token = json!({
        "methods": ["password"],
        "issued_at": format!("{now:.6}"),
        "expires_at": format!("{until:.6}"),
        "user": user,
        "roles": [{"id": id(), "name": "vbs_adm"}],
    });
    if let Some((project_id, name)) = &project {
        let url = format!("http://{}/v2/{project_id}", world.address);
        token["project"] = json!({"id": project_id, "name": name, "domain": domain});
        token["catalog"] = json!([{"type": "vbsv2", "name": "vbs", "id": id(), "endpoints": [
            {"id": id(), "interface": "public", "region": "sim", "region_id": "sim", "url": url},
        ]}]);
    }
    let body = json!({"token": token});
    match world.tokens.issue(project.map(|(id, _)| id), &body.to_string()) {
        Some(issued) => with_token((StatusCode::CREATED, Json(body)).into_response(), &issued),
        None => refuse(503, "There are too many tokens."),
    }
}

/// `GET /v3/auth/tokens`: what there is to tell about the token in `X-Subject-Token`.
pub(super) async fn show(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let subject = match subject(&world, &headers) {
        Ok(subject) => subject,
        Err(refusal) => return refusal,
    };
    match world.tokens.about(subject) {
        Some(about) => with_token(respond(200, "application/json", about), subject),
        None => refuse(404, "Could not find token."),
    }
}

/// `DELETE /v3/auth/tokens`: ends the token in `X-Subject-Token`.
pub(super) async fn revoke(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    match subject(&world, &headers) {
        Ok(subject) if world.tokens.revoke(subject) => StatusCode::NO_CONTENT.into_response(),
        Ok(_) => refuse(404, "Could not find token."),
        Err(refusal) => refusal,
    }
}

/// The token that is asked about by somebody who has a good one.
fn subject<'a>(world: &World, headers: &'a HeaderMap) -> Result<&'a str, Response> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !header("x-auth-token").is_some_and(|token| world.tokens.is_good(token)) {
        return Err(refuse(401, "The request you have made requires authentication."));
    }
    header("x-subject-token")
        .ok_or_else(|| refuse(400, "Expecting to find X-Subject-Token in the headers."))
}

fn with_token(mut response: Response, token: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(token) {
        response.headers_mut().insert("x-subject-token", value);
    }
    response
}

fn refuse(status: u16, message: &str) -> Response {
    error(status, Shape::Keystone, "", message, "")
}
