//! `jobgate health`: asks the admin port how the gateway is, for a container's health check.

use std::time::Duration;

use clap::Args;
use jobgate::proto::health::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic::Request;

use super::{address::Address, client::Peer, console::Console, duration, error::Error, exit::Exit};

/// Ask whether a gateway serves
///
/// Prints SERVING, `NOT_SERVING` or UNKNOWN, as the gRPC health protocol has them.
#[derive(Args, Debug)]
#[command(after_help = MANUAL_END)]
pub(crate) struct Health {
    /// The gateway's admin address
    #[arg(
        long,
        env = "JOBGATE_ADMIN",
        value_name = "URL",
        value_parser = Address::plaintext,
        default_value = "http://127.0.0.1:9090"
    )]
    admin: Address,

    /// The service to ask about; empty for the gateway as a whole
    #[arg(long, env = "JOBGATE_HEALTH_SERVICE", value_name = "NAME", default_value = "")]
    service: String,

    /// The time for the whole call
    #[arg(
        long,
        env = "JOBGATE_HEALTH_TIMEOUT",
        value_name = "DURATION",
        value_parser = duration::parse,
        default_value = "3s"
    )]
    timeout: Duration,
}

const MANUAL_END: &str = "Exit codes:
  0  SERVING
  1  anything else, or no answer
  2  the command line is wrong

Examples:
  jobgate health
  jobgate health --admin http://127.0.0.1:9090 --service jobgate.v1.JobService";

impl Health {
    /// Asks, shows the answer, and ends well only with SERVING.
    pub(crate) async fn run(self, console: Console) -> Result<Exit, Error> {
        let serving = self.check().await?;
        console.print(serving.as_str_name()).map_err(Error::Output)?;
        Ok(exit(serving))
    }

    async fn check(self) -> Result<ServingStatus, Error> {
        let Self { admin, service, timeout } = self;
        let peer = Peer::new(admin, None, timeout);
        peer.in_time(async {
            let channel = peer.connect().await?;
            let mut request = Request::new(HealthCheckRequest { service });
            request.set_timeout(peer.time_left());
            let answer = HealthClient::new(channel).check(request).await;
            Ok(answer.map_err(|status| peer.error(status))?.into_inner().status())
        })
        .await
    }
}

fn exit(serving: ServingStatus) -> Exit {
    match serving {
        ServingStatus::Serving => Exit::Success,
        ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => {
            Exit::Error
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_serving_is_success() {
        assert_eq!(exit(ServingStatus::Serving), Exit::Success);
        assert_eq!(exit(ServingStatus::NotServing), Exit::Error);
        assert_eq!(exit(ServingStatus::Unknown), Exit::Error);
        assert_eq!(exit(ServingStatus::ServiceUnknown), Exit::Error);
    }
}
