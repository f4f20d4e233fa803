//! `jobgate health`: a probe, for a container's HEALTHCHECK.

use std::time::Duration;

use jobgate::proto::health::{HealthCheckRequest, health_client::HealthClient};
use tonic::Request;

use super::{
    client, client_runtime, duration,
    exit::Exit,
    failure::Failure,
    print::{self, Color},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes:\n  0  it is serving\n  1  it is not, or can't be asked")]
pub(super) struct Args {
    /// The gateway's admin port
    #[arg(
        long,
        env = "JOBGATE_ADMIN",
        value_name = "URL",
        default_value = "http://127.0.0.1:9090"
    )]
    admin: String,

    /// The gRPC service to ask about; by default the server as a whole
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,

    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration::parse)]
    timeout: Duration,
}

/// Asks once.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Args {
        admin,
        service,
        timeout,
    } = args;
    let answer = client_runtime()?.block_on(async {
        let mut client = HealthClient::new(client::channel(admin, *timeout).await?);
        let mut request = Request::new(HealthCheckRequest {
            service: service.clone(),
        });
        request.set_timeout(*timeout);
        Ok::<_, Failure>(client.check(request).await?.into_inner())
    })?;
    let name = answer.status().as_str_name();
    print::out(&format!("{name}\n"), Color::Auto)?;
    Ok(if name == "SERVING" {
        Exit::Success
    } else {
        Exit::Error
    })
}
