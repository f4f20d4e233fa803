//! Who is let in to a project: a request with a token, or one signed with an access key.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http::request::Parts;

use super::{
    api::RequestId,
    faults::{Shape, error},
    script::Throttle,
    world::World,
};

/// The longest body that is read.
pub(super) const MAX_BODY: usize = 64 << 10;

/// Why a request is not let in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The API gateway's word for wrong credentials of any kind.
    Iam(String),
    OtherProject(&'static str),
    TokenEnded,
    TooOften(Throttle),
}

/// What happens to every request for a project.
pub(super) async fn admit(
    State(world): State<Arc<World>>,
    Path(names): Path<HashMap<String, String>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    // A signature is of the body, too.
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let message = "The request body is too large or was cut";
        return error(413, Shape::Gateway, "APIGW.0201", message, &request_id);
    };
    let project = names.get("project").map_or("", String::as_str);
    match credential(&world, &parts, &body, project).and_then(|it| world.throttle.count(it)) {
        Ok(()) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => refusal.answer(&request_id),
    }
}

/// The good token or access key of a request. With both, the token counts.
fn credential<'a>(
    world: &World,
    parts: &'a Parts,
    body: &Bytes,
    project: &str,
) -> Result<&'a str, Refusal> {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(token) = header("x-auth-token").filter(|token| !token.is_empty()) {
        world.tokens.check(token, project)?;
        return Ok(token);
    }
    let Some(authorization) = header("authorization") else {
        return Err(Refusal::Iam("x-auth-token not found".to_owned()));
    };
    let access_key = world.keys.check(authorization, parts, body)?;
    if header("x-project-id").is_some_and(|id| id != project) {
        let text = "the project in X-Project-Id differs from that in the url";
        return Err(Refusal::OtherProject(text));
    }
    Ok(access_key)
}

// === impl Refusal ===

impl Refusal {
    fn answer(&self, request_id: &str) -> Response {
        let gateway =
            |status, code, message: &str| error(status, Shape::Gateway, code, message, request_id);
        match self {
            Self::Iam(text) => {
                let message = format!("Incorrect IAM authentication information: {text}");
                gateway(401, "APIGW.0301", &message)
            }
            Self::OtherProject(text) => error(400, Shape::Error, "Common.0018", text, request_id),
            Self::TokenEnded => gateway(401, "APIGW.0307", "The token must be updated"),
            Self::TooOften(Throttle { limit, per }) => {
                let time = match per.as_secs() {
                    seconds if seconds >= 60 && seconds % 60 == 0 => {
                        format!("{} minute", seconds / 60)
                    }
                    seconds => format!("{seconds} second"),
                };
                let message = format!(
                    "The throttling threshold has been reached: policy user over ratelimit,\
                     limit:{limit},time:{time}"
                );
                gateway(429, "APIGW.0308", &message)
            }
        }
    }
}
