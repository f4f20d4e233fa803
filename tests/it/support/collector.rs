//! A collector of traces, which keeps what it gets.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use jobgate::telemetry::{Export, ExportConfig};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value,
    trace::v1::{Span, span::SpanKind},
};
use tokio::{net::TcpListener, sync::watch};
use tonic::{Request, Response, Status, service::Routes};

/// The collector. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    spans: Arc<watch::Sender<Vec<Seen>>>,
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
        let collector = Self { address, spans: Arc::default() };
        let routes = Routes::new(TraceServiceServer::new(collector.clone())).into_axum_router();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        collector
    }

    /// The export of a gateway in this process.
    pub(crate) fn export(&self, share: &str) -> Export {
        let endpoint = format!("http://{}", self.address);
        Export::start(&ExportConfig { endpoint, share: share.parse().unwrap() }).unwrap()
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

fn attributes(
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
