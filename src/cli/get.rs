//! `jobgate get`: asks a gateway for one job, once.

use std::{io, time::Duration};

use clap::Args;
use jiff::Timestamp;
use jobgate::proto::v1::{GetJobRequest, Job, job_service_client::JobServiceClient};
use tonic::Request;

use super::{
    client::Peer,
    console::Console,
    duration,
    error::Error,
    exit,
    exit::Exit,
    render,
    target::{Output, Target},
};

/// Show one job as it is now
///
/// Asks a gateway once. The token is the variable `JOBGATE_TOKEN`, or the content of
/// `--token-file`; without either the call goes out without a token.
#[derive(Args, Debug)]
#[command(after_help = manual_end())]
pub(crate) struct Get {
    #[command(flatten)]
    target: Target,

    /// The time for the whole call, such as 250ms, 30s or 5m
    #[arg(
        long,
        env = "JOBGATE_CLIENT_TIMEOUT",
        value_name = "DURATION",
        value_parser = duration::parse,
        default_value = "30s"
    )]
    timeout: Duration,

    /// How to show the job
    #[arg(long, env = "JOBGATE_OUTPUT", value_enum, value_name = "FORM", default_value_t)]
    output: Output,
}

impl Get {
    /// Asks, shows the job, and ends with the code for its state.
    pub(crate) async fn run(self, console: Console) -> Result<Exit, Error> {
        let output = self.output;
        let job = self.fetch().await?;
        let text = match output {
            Output::Tree => render::tree(&job, Timestamp::now()),
            Output::Json => {
                render::json(&job).map_err(|error| Error::Output(io::Error::from(error)))?
            }
        };
        console.print(&text).map_err(Error::Output)?;
        Ok(Exit::of(&job))
    }

    async fn fetch(self) -> Result<Job, Error> {
        let Self { target, timeout, output: _ } = self;
        let (credentials, tls) = (target.credentials()?, target.tls()?);
        let Target { job, project, gateway, .. } = target;
        let mut request = Request::new(GetJobRequest { project_id: project, job_id: job });
        credentials.add_to(request.metadata_mut());
        // After the token: typing one into stdin takes its time.
        let peer = Peer::new(gateway, tls, timeout);
        peer.in_time(async {
            let channel = peer.connect().await?;
            request.set_timeout(peer.time_left());
            let answer = JobServiceClient::new(channel).get_job(request).await;
            Ok(answer.map_err(|status| peer.error(status))?.into_inner())
        })
        .await
    }
}

fn manual_end() -> String {
    format!(
        "{}\n\n\
        Examples:\n\
        \x20 jobgate get --project 0a1b2c 4010b39b5281d3590152874bfa3b1604\n\
        \x20 jobgate get --project 0a1b2c 4010b39b --output json | jq .entities.backup_id\n\
        \x20 jobgate get --project 0a1b2c 4010b39b --token-file - < token",
        exit::codes()
    )
}

#[cfg(test)]
mod tests;
