//! The admin port: probes, metrics, and health in plaintext, for those who run the gateway.

use std::sync::Arc;

use axum::{Router, response::IntoResponse, routing::get};
use http::{HeaderMap, StatusCode, header};
use prometheus_client::registry::Registry;
use tonic::service::Routes;

use super::health::Health;
use crate::telemetry::{self, Format};

pub(super) fn routes(health: &Health, registry: Arc<Registry>) -> Router {
    let ready = health.clone();
    Routes::new(health.service())
        .into_axum_router()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || readiness(&ready)))
        .route("/metrics", get(async move |headers| metrics(&registry, &headers)))
        .fallback(async || StatusCode::NOT_FOUND)
}

fn readiness(health: &Health) -> (StatusCode, String) {
    match health.unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

fn metrics(
    registry: &Registry,
    headers: &HeaderMap,
) -> Result<impl IntoResponse + use<>, StatusCode> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let text = telemetry::write(registry, format).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], text))
}
