//! Flags of `serve` for browsers: gRPC-Web.

use std::str::FromStr;

use clap::Args;
use jobgate::server::web::{InvalidOrigin, Origin, Origins};

/// What is there for browsers.
#[derive(Args, Debug)]
pub(super) struct WebArgs {
    /// The origins of pages that may call by gRPC-Web, such as https://jobs.example.com; `*` for all
    /// pages; without, there is no gRPC-Web
    #[arg(
        long,
        env = "JOBGATE_GRPC_WEB_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    grpc_web_allow_origin: Vec<Allowed>,
}

/// An origin, or all of them.
#[derive(Clone, Debug)]
struct Allowed(Option<Origin>);

// === impl WebArgs ===

impl WebArgs {
    /// Whose pages may call, if any may.
    pub(super) fn config(self) -> Option<Origins> {
        let Self { grpc_web_allow_origin: allowed } = self;
        (!allowed.is_empty()).then(|| {
            let origins: Option<_> = allowed.into_iter().map(|Allowed(origin)| origin).collect();
            origins.map_or(Origins::Any, Origins::These)
        })
    }
}

// === impl Allowed ===

impl FromStr for Allowed {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "*" { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}
