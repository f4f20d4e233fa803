//! TLS of the client commands: whom they trust, and what they show of themselves.

use std::{fs, io, path::PathBuf};

use clap::Args;
use secrecy::zeroize::Zeroizing;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// TLS towards an `https://` gateway.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TlsArgs {
    /// The authorities that the gateway's certificate may be of, in PEM, instead of the system's
    #[arg(long, env = "JOBGATE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The certificate to show to the gateway, in PEM
    #[arg(long, env = "JOBGATE_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,

    /// The private key of that certificate, in PEM
    #[arg(long, env = "JOBGATE_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// A file that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub(crate) struct TlsFileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

// === impl TlsArgs ===

impl TlsArgs {
    /// Reads the files.
    pub(crate) fn config(&self) -> Result<ClientTlsConfig, TlsFileError> {
        let read = |path: &PathBuf| {
            let unreadable = |source| TlsFileError { path: path.clone(), source };
            fs::read(path).map(Zeroizing::new).map_err(unreadable)
        };
        let config = match &self.ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&*read(ca)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        Ok(match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => {
                config.identity(Identity::from_pem(&*read(certificate)?, &*read(key)?))
            }
            (Some(_), None) | (None, Some(_) | None) => config,
        })
    }
}
