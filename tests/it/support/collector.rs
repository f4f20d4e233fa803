//! A collector, which keeps what it gets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jobgate::telemetry::{Export, ExportConfig};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::any_value,
    metrics::v1::Metric,
    trace::v1::{Span, span::SpanKind},
};
use tokio::{net::TcpListener, sync::watch};
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes};

/// The collector. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    spans: Arc<watch::Sender<Vec<Seen>>>,
    metrics: Arc<watch::Sender<Vec<MetricsSeen>>>,
    rejects: Arc<AtomicI64>,
}

/// Metrics as they arrived.
#[derive(Clone, Debug)]
pub(crate) struct MetricsSeen {
    pub(crate) headers: MetadataMap,
    pub(crate) resource: HashMap<String, String>,
    /// By name.
    pub(crate) metrics: HashMap<String, Metric>,
}

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    /// The ids of the spans that it is on account of.
    pub(crate) links: Vec<String>,
    pub(crate) attributes: HashMap<String, String>,
    /// Of the service that it is from.
    pub(crate) resource: HashMap<String, String>,
}

// === impl Collector ===

impl Collector {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self {
            address,
            spans: Arc::default(),
            metrics: Arc::default(),
            rejects: Arc::default(),
        };
        let routes = Routes::new(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()));
        tokio::spawn(async move { axum::serve(listener, routes.into_axum_router()).await });
        collector
    }

    /// The export of a gateway in this process.
    pub(crate) fn export(&self, share: &str) -> Export {
        let endpoint = format!("http://{}", self.address);
        let share = share.parse().unwrap();
        Export::start(&ExportConfig { endpoint, share, metrics_every: None }).unwrap()
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.spans.borrow().clone()
    }

    /// The spans so far, by name, in the order of their arrival.
    pub(crate) fn named(&self, name: &str) -> Vec<Seen> {
        self.spans.borrow().iter().filter(|span| span.name == name).cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.spans.borrow().len()
    }

    /// All that was told of metrics so far, at least so many times. The limit is for what never comes.
    pub(crate) async fn metrics(&self, count: usize) -> Vec<MetricsSeen> {
        let mut metrics = self.metrics.subscribe();
        let told = metrics.wait_for(|told| told.len() >= count);
        let told = tokio::time::timeout(Duration::from_mins(1), told).await;
        told.unwrap().unwrap().clone()
    }

    /// From now on, so many values of each request are not good enough.
    pub(crate) fn reject(&self, values: i64) {
        self.rejects.store(values, Ordering::Relaxed);
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut seen = Vec::new();
        for of_service in request.into_inner().resource_spans {
            let resource = of_service.resource.unwrap_or_default();
            let resource = attributes(resource.attributes);
            let spans = of_service.scope_spans.into_iter().flat_map(|scope| scope.spans);
            seen.extend(spans.map(|span| Seen::new(span, resource.clone())));
        }
        self.spans.send_modify(|spans| spans.extend(seen));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let headers = request.metadata().clone();
        let told = request.into_inner().resource_metrics.remove(0);
        let metrics = told.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        self.metrics.send_modify(|seen| {
            seen.push(MetricsSeen {
                headers,
                resource: attributes(told.resource.unwrap_or_default().attributes),
                metrics: metrics.map(|metric| (metric.name.clone(), metric)).collect(),
            });
        });
        let rejected = self.rejects.load(Ordering::Relaxed);
        let partly = ExportMetricsPartialSuccess {
            rejected_data_points: rejected,
            error_message: "too old for the secret".to_owned(),
        };
        let partial_success = (rejected > 0).then_some(partly);
        Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

// === impl Seen ===

impl Seen {
    fn new(span: Span, resource: HashMap<String, String>) -> Self {
        Self {
            kind: span.kind(),
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
            attributes: attributes(span.attributes),
            resource,
        }
    }
}

pub(crate) fn attributes(
    pairs: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) -> HashMap<String, String> {
    let text = |value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::BoolValue(is) => is.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: opentelemetry_proto::tonic::common::v1::KeyValue| {
        Some((pair.key, text(pair.value?.value?)))
    };
    pairs.into_iter().filter_map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
