//! Traces and metrics on their way out: OTLP over gRPC, to a collector.

use std::{env, str::FromStr, sync::Arc, time::Duration};

use http::uri::Scheme;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use prometheus_client::registry::Registry;
use tonic::transport::{self, Channel, ClientTlsConfig, Endpoint};

use super::{Tracer, metrics::Sending, sampling::Sampling};

/// The time for a connection to the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of the program waits for the last spans to be taken, and the last metrics.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Where spans and metrics go, and how many.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// The collector, as `http://HOST:PORT` or `https://..`.
    pub endpoint: String,
    /// How many of the calls that nobody has decided on are recorded.
    pub share: Share,
    /// How often metrics are sent; `None` for never.
    pub metrics_every: Option<Duration>,
}

/// A share of all: from 0, none, to 1, all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

/// A text that is no [`Share`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number from 0 to 1")]
pub struct InvalidShare;

/// Nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The collector's address can't be used.
    #[error("can't set up the way to the collector")]
    Endpoint(#[source] transport::Error),
    /// A variable of OpenTelemetry's can't be used.
    #[error("can't set up the export of traces")]
    Exporter(#[source] ExporterBuildError),
}

/// Sends spans from a thread of its own, in batches, and metrics from a task. What can't be sent is
/// dropped.
#[derive(Debug)]
pub struct Export {
    provider: SdkTracerProvider,
    channel: Channel,
    metrics_every: Option<Duration>,
    metrics: Option<Sending>,
}

// === impl Export ===

impl Export {
    /// Begins to send traces. Called within a runtime, which the connection lives in.
    ///
    /// The batches, and headers for the collector, can be set by the standard variables
    /// `OTEL_BSP_..` and `OTEL_EXPORTER_OTLP_HEADERS`, the service's name and attributes by
    /// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn start(config: &ExportConfig) -> Result<Self, ExportError> {
        let ExportConfig { endpoint, share: Share(share), metrics_every } = config;
        let endpoint = Endpoint::from_shared(endpoint.clone()).and_then(|endpoint| {
            // Without it nothing is asked of the system's certificates, of which there may be none.
            let tls = endpoint.uri().scheme() == Some(&Scheme::HTTPS);
            if tls {
                endpoint.tls_config(ClientTlsConfig::new().with_native_roots())
            } else {
                Ok(endpoint)
            }
        });
        let endpoint = endpoint.map_err(ExportError::Endpoint)?;
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .build()
            .map_err(ExportError::Exporter)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampling::new(*share))
            .with_resource(resource())
            .build();
        Ok(Self { provider, channel, metrics_every: *metrics_every, metrics: None })
    }

    /// Begins to send these metrics, if that is asked for.
    pub fn send_metrics(&mut self, registry: Arc<Registry>) {
        let start = |every| Sending::start(self.channel.clone(), &resource(), registry, every);
        self.metrics = self.metrics_every.map(start);
    }

    /// What spans are begun with.
    pub fn tracer(&self) -> Tracer {
        Tracer::new(&self.provider)
    }

    /// Sends what is left, within a limit, and nothing more.
    pub async fn finish(self) {
        let finishing = move || self.provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        // It blocks, and the connection needs the runtime to go on.
        let traces = tokio::task::spawn_blocking(finishing);
        if let Some(metrics) = self.metrics {
            metrics.finish(FLUSH_TIMEOUT).await;
        }
        if let Ok(Err(error)) = traces.await {
            tracing::warn!(%error, "the last traces may not have been sent");
        }
    }
}

fn resource() -> Resource {
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
    }
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    resource.with_attribute(version).build()
}

// === impl Share ===

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or(InvalidShare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_one() {
        for (text, share) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)] {
            assert_eq!(text.parse(), Ok(Share(share)));
        }
        for text in ["", "-0.1", "1.1", "NaN", "inf", "10%"] {
            assert_eq!(text.parse::<Share>(), Err(InvalidShare), "{text}");
        }
    }
}
