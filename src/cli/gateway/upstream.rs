//! The options for the way to the upstream.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::ValueEnum;
use jobgate::upstream::{
    BaseUrl, Config, Credentials, HttpProxy, Tls, TlsVersion, TransportConfig,
};

use crate::cli::duration;

/// How to reach the upstream.
#[derive(Debug, clap::Args)]
pub(super) struct UpstreamArgs {
    /// Where the REST API is, such as https://vbs.eu-de.otc.t-systems.com; without the version
    #[arg(long, env = "JOBGATE_UPSTREAM", value_name = "URL", value_parser = BaseUrl::parse)]
    upstream: BaseUrl,

    /// The certificates, in PEM, that are trusted upstream and at IAM instead of the system's
    #[arg(long, env = "JOBGATE_UPSTREAM_CA", value_name = "FILE")]
    upstream_ca: Option<PathBuf>,

    /// The gateway's certificate chain for the upstream, in PEM
    #[arg(
        long,
        env = "JOBGATE_UPSTREAM_CLIENT_CERT",
        value_name = "FILE",
        requires = "upstream_client_key"
    )]
    upstream_client_cert: Option<PathBuf>,

    /// The key of that certificate, in PEM
    #[arg(
        long,
        env = "JOBGATE_UPSTREAM_CLIENT_KEY",
        value_name = "FILE",
        requires = "upstream_client_cert"
    )]
    upstream_client_key: Option<PathBuf>,

    /// The oldest version of TLS that is spoken upstream
    #[arg(long, env = "JOBGATE_UPSTREAM_TLS_MIN", value_name = "VERSION", default_value = "1.2")]
    upstream_tls_min: Version,

    /// A proxy for all requests to the upstream and IAM; the system's settings are not looked at
    #[arg(long, env = "JOBGATE_UPSTREAM_PROXY", value_name = "URL", value_parser = BaseUrl::parse)]
    upstream_proxy: Option<BaseUrl>,

    /// A file with user:password for the proxy
    #[arg(
        long,
        env = "JOBGATE_UPSTREAM_PROXY_CREDENTIALS_FILE",
        value_name = "FILE",
        requires = "upstream_proxy"
    )]
    upstream_proxy_credentials_file: Option<PathBuf>,

    /// The time for one attempt upstream, from the connection to the last byte of the answer
    #[arg(
        long,
        env = "JOBGATE_ATTEMPT_TIMEOUT",
        value_name = "DURATION",
        default_value = "8s",
        value_parser = duration::parse
    )]
    attempt_timeout: Duration,

    /// The time for a new connection upstream, TLS included
    #[arg(
        long,
        env = "JOBGATE_CONNECT_TIMEOUT",
        value_name = "DURATION",
        default_value = "3s",
        value_parser = duration::parse
    )]
    connect_timeout: Duration,

    /// The most requests to the upstream at a time; a call that finds no place within a second is
    /// refused
    #[arg(long, env = "JOBGATE_UPSTREAM_MAX_REQUESTS", value_name = "N", default_value = "500")]
    upstream_max_requests: NonZeroUsize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

// === impl UpstreamArgs ===

impl UpstreamArgs {
    pub(super) fn config(self, credentials: Credentials) -> Config {
        let Self {
            upstream,
            upstream_ca,
            upstream_client_cert,
            upstream_client_key,
            upstream_tls_min,
            upstream_proxy,
            upstream_proxy_credentials_file,
            attempt_timeout,
            connect_timeout,
            upstream_max_requests,
        } = self;
        let tls = Tls {
            ca: upstream_ca,
            identity: upstream_client_cert.zip(upstream_client_key),
            min_version: match upstream_tls_min {
                Version::V1_2 => TlsVersion::V1_2,
                Version::V1_3 => TlsVersion::V1_3,
            },
        };
        let credentials_file = upstream_proxy_credentials_file;
        let proxy = upstream_proxy.map(|url| HttpProxy { url, credentials: credentials_file });
        let transport = TransportConfig { attempt_timeout, connect_timeout, tls, proxy };
        let max_requests = upstream_max_requests.get();
        Config { base: upstream, transport, credentials, max_requests }
    }
}
