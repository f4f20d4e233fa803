//! The page that watches a job, at the admin port.
//!
//! It is a page like any other: it calls the gRPC port by gRPC-Web, under the rules for all callers,
//! and its origin must be allowed. Nothing here asks for a job, since nobody shows here who he is.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, Uri, header};
use serde_json::json;

use super::web::{Origin, Origins};

/// The files of the page: name, type, content.
const FILES: [(&str, &str, &str); 6] = [
    ("/ui/style.css", "text/css", include_str!("style.css")),
    ("/ui/page.js", "text/javascript", include_str!("page.js")),
    ("/ui/tree.js", "text/javascript", include_str!("tree.js")),
    ("/ui/watch.js", "text/javascript", include_str!("watch.js")),
    ("/ui/messages.js", "text/javascript", include_str!("messages.js")),
    ("/ui/words.js", "text/javascript", include_str!("words.js")),
];

/// How the page is served.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where browsers reach the gRPC port; `None` for the host that they reach the page at.
    pub gateway: Option<Origin>,
}

/// What the page has to know of the gateway.
struct Page {
    gateway: Option<Origin>,
    port: u16,
    scheme: &'static str,
    /// Whose pages may call.
    origins: Vec<String>,
}

/// The page's routes, for a gRPC port that takes gRPC-Web of `origins`.
pub(super) fn routes(config: Config, origins: Option<&Origins>, port: u16, tls: bool) -> Router {
    let origins = match origins {
        None => Vec::new(),
        Some(Origins::Any) => vec!["*".to_owned()],
        Some(Origins::These(origins)) => origins.iter().map(Origin::to_string).collect(),
    };
    if origins.is_empty() {
        tracing::warn!("the page of --admin-ui can't call: add --grpc-web-allow-origin for it");
    }
    let scheme = if tls { "https" } else { "http" };
    let page = Arc::new(Page { gateway: config.gateway, port, scheme, origins });
    let told = Arc::clone(&page);
    let routes = Router::new()
        .route("/ui", get(async move |request: Request| page.html(&request)))
        .route("/ui/gateway.json", get(async move |request: Request| told.json(&request)));
    FILES.into_iter().fold(routes, |routes, (path, content_type, text)| {
        routes.route(path, get(async move || file(content_type, text)))
    })
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        // A newer gateway may have another page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

// === impl Page ===

impl Page {
    fn html(&self, request: &Request) -> Response {
        let gateway = self.gateway(request);
        let gateway = gateway.as_ref().map_or("'none'", Origin::as_str);
        // Nothing but the page's own files, and calls to the gateway: what a job says is text, and
        // this is the second lock on that door.
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
             connect-src 'self' {gateway}; form-action 'none'; base-uri 'none'; \
             frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        );
        let headers = [
            (header::CONTENT_SECURITY_POLICY, &*policy),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (headers, file("text/html; charset=utf-8", include_str!("page.html"))).into_response()
    }

    fn json(&self, request: &Request) -> Response {
        let gateway = self.gateway(request);
        let gateway = gateway.as_ref().map(Origin::as_str);
        let told = Json(json!({ "gateway": gateway, "origins": self.origins }));
        ([(header::CACHE_CONTROL, "no-store")], told).into_response()
    }

    /// Where a browser with this request finds the gRPC port. What it says of its host comes from
    /// outside, so it becomes an origin, or nothing.
    fn gateway(&self, request: &Request) -> Option<Origin> {
        if self.gateway.is_some() {
            return self.gateway.clone();
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host: Option<Uri> = host.and_then(|host| host.parse().ok());
        let host = host.as_ref().and_then(Uri::host).or(request.uri().host())?;
        format!("{}://{host}:{}", self.scheme, self.port).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_gateway_is_where_the_browser_found_the_page() {
        let at = |text: &str| text.parse::<Origin>().ok();
        for (configured, host, tls, expected) in [
            (None, "127.0.0.1:9090", false, at("http://127.0.0.1:50051")),
            (None, "[::1]:9090", false, at("http://[::1]:50051")),
            (None, "gateway.example", true, at("https://gateway.example:50051")),
            (None, "a;script-src *", false, None),
            (None, "a'b", false, None),
            (None, "", false, None),
            (at("https://grpc.example"), "127.0.0.1:9090", false, at("https://grpc.example")),
        ] {
            let scheme = if tls { "https" } else { "http" };
            let page = Page { gateway: configured, port: 50051, scheme, origins: Vec::new() };
            let request = Request::get("/ui").header("host", host).body(Body::empty()).unwrap();
            assert_eq!(page.gateway(&request), expected, "{host}");
        }
    }
}
