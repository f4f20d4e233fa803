//! Flags of `serve` for browsers: gRPC-Web, and the page at the admin port.

use std::str::FromStr;

use clap::Args;
use jobgate::server::{
    ui,
    web::{InvalidOrigin, Origin, Origins},
};

use crate::cli::error::UsageError;

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

    /// Serve a page at the admin port, at /ui, that watches a job; it calls by gRPC-Web, and its
    /// origin must be allowed
    #[arg(long, env = "JOBGATE_ADMIN_UI")]
    admin_ui: bool,

    /// Where browsers reach the gRPC port, if not at the host of the page and that port
    #[arg(long, env = "JOBGATE_ADMIN_UI_GATEWAY", value_name = "ORIGIN", requires = "admin_ui")]
    admin_ui_gateway: Option<Origin>,
}

/// An origin, or all of them.
#[derive(Clone, Debug)]
struct Allowed(Option<Origin>);

// === impl WebArgs ===

impl WebArgs {
    /// Whose pages may call, and the page at the admin port, if there is that.
    pub(super) fn config(
        self,
        admin: bool,
    ) -> Result<(Option<Origins>, Option<ui::Config>), UsageError> {
        let Self { grpc_web_allow_origin: allowed, admin_ui, admin_ui_gateway: gateway } = self;
        if admin_ui && !admin {
            return Err(UsageError::Needs { what: "--admin-ui", flags: "--admin-listen" });
        }
        let origins = (!allowed.is_empty()).then(|| {
            let origins: Option<_> = allowed.into_iter().map(|Allowed(origin)| origin).collect();
            origins.map_or(Origins::Any, Origins::These)
        });
        Ok((origins, admin_ui.then_some(ui::Config { gateway })))
    }
}

// === impl Allowed ===

impl FromStr for Allowed {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "*" { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}
