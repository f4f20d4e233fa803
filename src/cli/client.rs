//! What the commands that call a gateway have in common.

use std::{fs, io::Read as _, path::PathBuf, time::Duration};

use jobgate::proto::v1::job_service_client::JobServiceClient;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{
    metadata::{Ascii, MetadataMap, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{
    duration,
    failure::{Failure, chain},
};

/// Which gateway is called, and with what.
#[derive(Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// The gateway
    #[arg(
        long,
        env = "JOBGATE_GATEWAY",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(super) gateway: String,

    /// The project of the job
    #[arg(long, env = "JOBGATE_PROJECT", value_name = "ID")]
    pub(super) project: String,

    /// A file with the IAM token, `-` for standard input; by default the token is taken from the
    /// environment variable JOBGATE_TOKEN
    #[arg(long, env = "JOBGATE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// How long to wait for an answer
    #[arg(
        long,
        env = "JOBGATE_CALL_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration::parse
    )]
    pub(super) timeout: Duration,
}

// === impl GatewayArgs ===

impl GatewayArgs {
    pub(super) async fn connect(&self) -> Result<JobServiceClient<Channel>, Failure> {
        channel(&self.gateway, self.timeout)
            .await
            .map(JobServiceClient::new)
    }

    /// Puts the token, if there is one, into a call.
    pub(super) fn authorize(&self, metadata: &mut MetadataMap) -> Result<(), Failure> {
        if let Some(token) = self.token()? {
            let text = token.expose_secret().trim();
            let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| {
                Failure::Usage("the token has characters that can't be sent".to_owned())
            })?;
            value.set_sensitive(true);
            metadata.insert("x-auth-token", value);
        }
        Ok(())
    }

    fn token(&self) -> Result<Option<SecretString>, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(std::env::var("JOBGATE_TOKEN").ok().map(SecretString::from));
        };
        let text = if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            fs::read_to_string(path)
        };
        let text = text.map_err(|error| {
            Failure::Usage(format!(
                "can't read the token from {}: {error}",
                path.display()
            ))
        })?;
        Ok(Some(SecretString::from(text)))
    }
}

/// Connects to a plaintext gRPC server.
pub(super) async fn channel(url: &str, timeout: Duration) -> Result<Channel, Failure> {
    if !url.starts_with("http://") {
        return Err(Failure::Usage(format!(
            "{url}: write the address as http://HOST:PORT"
        )));
    }
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|_| Failure::Usage(format!("{url} is no address like http://HOST:PORT")))?;
    endpoint
        .connect_timeout(timeout)
        .connect()
        .await
        .map_err(|error| Failure::Unreachable {
            address: url.to_owned(),
            reason: std::error::Error::source(&error).map_or_else(|| error.to_string(), chain),
        })
}
