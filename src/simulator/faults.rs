//! What goes wrong on purpose, in all the shapes the real API and its neighbours use.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::script;

/// Requests that are answered with an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fault {
    /// Only requests with this method.
    method: Option<String>,
    /// Only requests with this in their path.
    path: Option<String>,
    /// How many fitting requests pass before the first fault.
    skip: u32,
    /// How many requests fail; without it, all.
    times: Option<u32>,
    #[serde(deserialize_with = "script::status")]
    status: u16,
    shape: Shape,
    code: String,
    message: String,
    #[serde(deserialize_with = "script::headers")]
    headers: HeaderMap,
    /// Waited before the answer.
    #[serde(deserialize_with = "script::duration")]
    pub(super) latency: Duration,
}

/// The shapes of error bodies.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// `{"error": {"code", "message"}}`: VBS, EVS, ECS.
    Error,
    /// `{"code", "message"}`.
    Flat,
    /// `{"error_code", "error_msg", "request_id"}`: the API gateway.
    Gateway,
    /// `{"error_code", "error_msg"}`: IAM's and CSBS's own.
    Plain,
    /// `{"error": {"code": 401, "message", "title"}}`: IAM.
    Keystone,
    /// `{"itemNotFound": {"code": 404, "message"}}`: Cinder; the fault's name is the code.
    Fault,
    /// `{"errCode", "errMsg"}`: SFS Turbo.
    Errcode,
    /// An error of ECS whose message holds a fault of Cinder as text.
    Nested,
    /// A page of the load balancer.
    Html,
    /// Plain text.
    Text,
    /// No body.
    Empty,
}

// === impl Fault ===

impl Fault {
    /// Whether this fault is for a request like this.
    pub(super) fn fits(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|it| it.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|it| path.contains(it))
    }

    /// Whether the fitting request with this number, from zero, fails.
    pub(super) fn strikes(&self, number: u32) -> bool {
        number >= self.skip && self.times.is_none_or(|times| number - self.skip < times)
    }

    pub(super) fn answer(&self, request_id: &str) -> Response {
        let mut response = error(self.status, self.shape, &self.code, &self.message, request_id);
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            method: None,
            path: None,
            skip: 0,
            times: None,
            status: 500,
            shape: Shape::Error,
            code: "common.0001".to_owned(),
            message: "a fault of the script".to_owned(),
            headers: HeaderMap::new(),
            latency: Duration::ZERO,
        }
    }
}

/// An error answer.
pub(super) fn error(
    status: u16,
    shape: Shape,
    code: &str,
    message: &str,
    request_id: &str,
) -> Response {
    let json = match shape {
        Shape::Error => json!({"error": {"code": code, "message": message}}),
        Shape::Flat => json!({"code": code, "message": message}),
        Shape::Gateway => {
            json!({"error_code": code, "error_msg": message, "request_id": request_id})
        }
        Shape::Plain => json!({"error_code": code, "error_msg": message}),
        Shape::Keystone => {
            let title = StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason());
            json!({"error": {"code": status, "message": message, "title": title}})
        }
        Shape::Fault => json!({code: {"code": status, "message": message}}),
        Shape::Errcode => json!({"errCode": code, "errMsg": message}),
        Shape::Nested => {
            let inner = json!({code: {"code": status, "message": message}}).to_string();
            json!({"error": {"code": "Ecs.1000", "message": inner}})
        }
        Shape::Html => {
            let page = format!("<html><body><h1>{status}</h1><p>{message}</p></body></html>");
            return respond(status, "text/html", page);
        }
        Shape::Text => return respond(status, "text/plain", message.to_owned()),
        Shape::Empty => return respond(status, "text/plain", String::new()),
    };
    respond(status, "application/json", json.to_string())
}

pub(super) fn respond(status: u16, kind: &'static str, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, kind)], Body::from(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_when_the_script_says() {
        let fault = Fault { skip: 2, times: Some(3), ..Fault::default() };
        let struck: Vec<_> = (0..8).filter(|number| fault.strikes(*number)).collect();
        assert_eq!(struck, [2, 3, 4]);
        assert!(Fault::default().strikes(1000));
    }

    #[tokio::test]
    async fn every_shape_has_its_body() {
        for (shape, expected) in [
            (Shape::Error, r#"{"error":{"code":"c","message":"m"}}"#),
            (Shape::Flat, r#"{"code":"c","message":"m"}"#),
            (Shape::Gateway, r#"{"error_code":"c","error_msg":"m","request_id":"r"}"#),
            (Shape::Plain, r#"{"error_code":"c","error_msg":"m"}"#),
            (Shape::Keystone, r#"{"error":{"code":401,"message":"m","title":"Unauthorized"}}"#),
            (Shape::Fault, r#"{"c":{"code":401,"message":"m"}}"#),
            (Shape::Errcode, r#"{"errCode":"c","errMsg":"m"}"#),
            (
                Shape::Nested,
                r#"{"error":{"code":"Ecs.1000","message":"{\"c\":{\"code\":401,\"message\":\"m\"}}"}}"#,
            ),
            (Shape::Html, "<html><body><h1>401</h1><p>m</p></body></html>"),
            (Shape::Text, "m"),
            (Shape::Empty, ""),
        ] {
            let response = error(401, shape, "c", "m", "r");
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let body = axum::body::to_bytes(response.into_body(), 1 << 10).await.unwrap();
            assert_eq!(body, expected, "{shape:?}");
        }
    }
}
