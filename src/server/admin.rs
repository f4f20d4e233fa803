//! The admin port: probes, metrics, and health in plaintext, for those who run the gateway.

use std::sync::Arc;

use axum::{Router, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tonic::service::Routes;

use super::health::Health;

/// The text format of `OpenMetrics`, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes(health: &Health, registry: Registry) -> Router {
    let registry = Arc::new(registry);
    let ready = health.clone();
    Routes::new(health.service())
        .into_axum_router()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || readiness(&ready)))
        .route("/metrics", get(async move || metrics(&registry)))
        .fallback(async || StatusCode::NOT_FOUND)
}

fn readiness(health: &Health) -> (StatusCode, String) {
    match health.unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

fn metrics(registry: &Registry) -> Result<impl IntoResponse + use<>, StatusCode> {
    let mut text = String::new();
    encode(&mut text, registry).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
