//! Metrics on their way out: OTLP over gRPC, to a collector, again and again.

use std::{env, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::{
            ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
        },
        metrics::v1::ResourceMetrics,
        resource::v1,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use opentelemetry_sdk::Resource;
use percent_encoding::percent_decode_str;
use prometheus_client::registry::Registry;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tonic::{Request, Status, metadata::MetadataMap, transport::Channel};

use super::{
    Format, exposition,
    otlp::{self, Period},
};

/// Headers for the collector, as `KEY=VALUE,..`, percent-encoded; the first that is set.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// How long the collector may take. OpenTelemetry's usual one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends metrics from a task of its own.
#[derive(Debug)]
pub(super) struct Sending {
    /// Once it is gone, they are sent for the last time.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

struct Sender {
    client: MetricsServiceClient<Channel>,
    headers: MetadataMap,
    resource: v1::Resource,
    schema_url: String,
    registry: Arc<Registry>,
    period: Period,
}

// === impl Sending ===

impl Sending {
    /// Begins to send, first after an interval.
    pub(super) fn start(
        channel: Channel,
        resource: &Resource,
        registry: Arc<Registry>,
        every: Duration,
    ) -> Self {
        let ResourceAttributesWithSchema { attributes, schema_url } = resource.into();
        let now = otlp::now();
        let mut sender = Sender {
            client: MetricsServiceClient::new(channel),
            headers: headers(),
            resource: v1::Resource { attributes: attributes.0, ..v1::Resource::default() },
            schema_url: schema_url.unwrap_or_default(),
            registry,
            period: Period { start: now, end: now },
        };
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = interval(every);
            // Late ones would tell the same again.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first comes at once.
            ticks.tick().await;
            loop {
                let last = tokio::select! {
                    _ = &mut stopped => true,
                    _ = ticks.tick() => false,
                };
                if let Err(error) = sender.send().await {
                    let (code, message) = (error.code(), error.message());
                    tracing::warn!(?code, message, "metrics could not be sent");
                }
                if last {
                    return;
                }
            }
        });
        Self { stop, task }
    }

    /// Sends them for the last time, within a limit.
    pub(super) async fn finish(self, limit: Duration) {
        let Self { stop, mut task } = self;
        drop(stop);
        if timeout(limit, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the last metrics may not have been sent");
        }
    }
}

// === impl Sender ===

impl Sender {
    async fn send(&mut self) -> Result<(), Status> {
        let text = exposition::write(&self.registry, Format::Open)
            .map_err(|_| Status::internal("they could not be written"))?;
        self.period.end = otlp::now();
        let of_resource = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![otlp::metrics(&text, self.period)],
            schema_url: self.schema_url.clone(),
        };
        let mut request =
            Request::new(ExportMetricsServiceRequest { resource_metrics: vec![of_resource] });
        *request.metadata_mut() = self.headers.clone();
        request.set_timeout(TIMEOUT);
        let answer = timeout(TIMEOUT, self.client.export(request));
        let answer = answer.await.map_err(|_| Status::deadline_exceeded("no answer"))??;
        if let Some(partly) = answer.into_inner().partial_success
            && (partly.rejected_data_points > 0 || !partly.error_message.is_empty())
        {
            let (rejected, message) = (partly.rejected_data_points, partly.error_message);
            tracing::warn!(rejected, message, "the collector did not like all metrics");
        }
        Ok(())
    }
}

/// The headers that the environment asks for. What is no header is left out, as it is with traces.
fn headers() -> MetadataMap {
    let text = HEADERS.iter().find_map(|name| env::var(name).ok());
    parse_headers(&text.unwrap_or_default())
}

fn parse_headers(text: &str) -> MetadataMap {
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    MetadataMap::from_headers(text.split(',').filter_map(header).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_specification_has_them() {
        let headers =
            parse_headers("authorization=Basic%20YTpi, x-tenant = a%2Cb,,odd,b ad=1,c=%0A");
        let headers = headers.into_headers();
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["authorization"], "Basic YTpi");
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers["x-tenant"], "a,b");
    }
}
