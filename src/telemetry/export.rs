//! Traces and metrics on their way out: OTLP over gRPC, to a collector.

use std::{env, ops::Range, str::FromStr, sync::Arc, time::Duration};

use http::uri::Scheme;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    resource::{EnvResourceDetector, ResourceDetector as _},
    trace::SdkTracerProvider,
};
use prometheus_client::registry::Registry;
use tonic::transport::{self, Channel, ClientTlsConfig, Endpoint};

use super::{Tracer, metrics::Sending, sampling::Sampling};

/// The time for a connection to the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a collector that owes an answer may be silent before it is asked whether it is there, and
/// how long it then may take. Below the ten seconds that each sending has, so that the next one
/// finds a new connection.
const SILENCE: Duration = Duration::from_secs(5);
const SIGN_OF_LIFE: Duration = Duration::from_secs(4);

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
    resource: Resource,
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
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(SILENCE)
            .keep_alive_timeout(SIGN_OF_LIFE)
            .connect_lazy();
        let resource = resource();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .build()
            .map_err(ExportError::Exporter)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampling::new(*share))
            .with_resource(resource.clone())
            .build();
        Ok(Self { provider, channel, resource, metrics_every: *metrics_every, metrics: None })
    }

    /// Begins to send these metrics, if that is asked for.
    pub fn send_metrics(&mut self, registry: Arc<Registry>) {
        let start = |every| Sending::start(self.channel.clone(), &self.resource, registry, every);
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

/// What is told of this process. The environment has the last word.
fn resource() -> Resource {
    let told = EnvResourceDetector::new().detect();
    let told = |key| told.get(&Key::from_static_str(key)).is_some();
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() && !told("service.name") {
        resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
    }
    if !told("service.instance.id") {
        resource = resource.with_attribute(KeyValue::new("service.instance.id", new_instance()));
    }
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

/// A name for this process alone, a random UUID: else what replicas count would be taken for one
/// process' numbers.
fn new_instance() -> String {
    let bits = fastrand::u128(..);
    // Version 4 of variant 1, RFC 9562.
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let digits = format!("{bits:032x}");
    let part = |range: Range<usize>| digits.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
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
    fn an_instance_is_a_random_uuid() {
        let (one, other) = (new_instance(), new_instance());
        assert_ne!(one, other);
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&one[14..15], "4", "{one}");
        assert!(one[19..20].contains(['8', '9', 'a', 'b']), "{one}");
    }

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
