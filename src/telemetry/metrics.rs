//! Metrics on their way out: OTLP over gRPC, to a collector, again and again.

use std::{env, error::Error as _, iter, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, header};
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

/// Those that say how a request is sent, which is not for others to say.
const OF_THE_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How long the collector may take. OpenTelemetry's usual one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most characters that are logged of what the collector says.
const MAX_TOLD: usize = 200;

/// Shorter words of a header's value are no secrets, and stand in many texts.
const SHORTEST_SECRET: usize = 4;

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
    /// Whether it was complained of, and nothing has been taken since.
    failing: bool,
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
            failing: false,
        };
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = interval(every);
            // Late ones would tell the same again.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first comes at once.
            ticks.tick().await;
            loop {
                let next = async {
                    ticks.tick().await;
                    sender.send().await;
                };
                tokio::select! {
                    () = next => {}
                    // The last ones have in them what those had that are under way.
                    _ = &mut stopped => break,
                }
            }
            sender.send().await;
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
    /// Sends them, and complains once if they are not taken.
    async fn send(&mut self) {
        match self.try_send().await {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("metrics are sent again");
            }
            Err(status) if !self.failing => {
                self.failing = true;
                let code = status.code();
                tracing::warn!(?code, error = self.told(&status), "metrics could not be sent");
            }
            Ok(()) | Err(_) => {}
        }
    }

    async fn try_send(&mut self) -> Result<(), Status> {
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
        let answer = timeout(TIMEOUT, self.client.export(request)).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer"))??;
        if let Some(partly) = answer.into_inner().partial_success
            && (partly.rejected_data_points > 0 || !partly.error_message.is_empty())
        {
            let rejected = partly.rejected_data_points;
            let error = self.redacted(&partly.error_message);
            tracing::warn!(rejected, error, "the collector did not like all metrics");
        }
        Ok(())
    }

    /// Why they were not taken: what this side found, with its causes, or what the collector says.
    fn told(&self, status: &Status) -> String {
        let mut causes = iter::successors(status.source(), |cause| (*cause).source()).peekable();
        if causes.peek().is_none() {
            return self.redacted(status.message());
        }
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    /// What the collector says, without what it was sent to know us by.
    fn redacted(&self, text: &str) -> String {
        let values = self.headers.as_ref().values().filter_map(|value| value.to_str().ok());
        let words = values.flat_map(|value| iter::once(value).chain(value.split_whitespace()));
        let secrets = words.filter(|word| word.len() >= SHORTEST_SECRET);
        let text = secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"));
        text.chars().take(MAX_TOLD).collect()
    }
}

/// The headers that the environment asks for. What can't be sent is left out and named.
fn headers() -> MetadataMap {
    let text = HEADERS.iter().find_map(|name| env::var(name).ok().filter(|it| !it.is_empty()));
    parse_headers(&text.unwrap_or_default())
}

fn parse_headers(text: &str) -> MetadataMap {
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        (!OF_THE_CONNECTION.contains(&name)).then_some((name, value))
    };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let headers = pairs.filter_map(|pair| {
        let header = header(pair);
        if header.is_none() {
            let name = pair.split('=').next().unwrap_or_default();
            tracing::warn!(name, "a header for the collector can't be sent");
        }
        header
    });
    MetadataMap::from_headers(headers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_specification_has_them() {
        let headers = parse_headers(
            "authorization=Basic%20YTpi, x-tenant = a%2Cb,,odd,b ad=1,c=%0A,host=h,content-length=1",
        );
        let headers = headers.into_headers();
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["authorization"], "Basic YTpi");
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers["x-tenant"], "a,b");
    }
}
