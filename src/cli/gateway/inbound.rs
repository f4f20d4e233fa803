//! Flags of `serve` on who may connect and call: TLS, clients' certificates, rules.

use std::path::PathBuf;

use clap::Args;
use jobgate::server::tls;

/// Who may connect and call.
#[derive(Args, Debug)]
pub(super) struct InboundArgs {
    /// The server's certificate and those between it and its authority's, in PEM; then gRPC is
    /// served with TLS only
    #[arg(long, env = "JOBGATE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, env = "JOBGATE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The authorities of clients' certificates, in PEM; then each client must have one
    #[arg(long, env = "JOBGATE_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,

    /// The rules on who may ask about which projects, in TOML; without, whoever can connect may ask
    /// about all
    #[arg(long, env = "JOBGATE_CALLERS", value_name = "FILE")]
    callers: Option<PathBuf>,
}

// === impl InboundArgs ===

impl InboundArgs {
    /// The files of TLS, and that of the rules.
    pub(super) fn config(self) -> (Option<tls::Config>, Option<PathBuf>) {
        let Self { tls_cert, tls_key, tls_client_ca: client_ca, callers } = self;
        let tls = tls_cert.zip(tls_key).map(|(certificate, key)| tls::Config {
            certificate,
            key,
            client_ca,
        });
        (tls, callers)
    }
}
