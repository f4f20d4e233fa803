//! `jobgate get`: asks a gateway for one job, once.

use std::{io, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jobgate::proto::v1::{GetJobRequest, Job, job_service_client::JobServiceClient};
use tonic::Request;

use super::{
    address::Address, client::Peer, console::Console, duration, error::Error, exit, exit::Exit,
    render, token, token::Token,
};

/// Show one job as it is now
///
/// Asks a gateway once. The token is the variable `JOBGATE_TOKEN`, or the content of
/// `--token-file`; without either the call goes out without a token.
#[derive(Args, Debug)]
#[command(after_help = manual_end())]
pub(crate) struct Get {
    /// The job's id
    #[arg(value_name = "JOB")]
    job: String,

    /// The id of the project the job belongs to
    #[arg(long, env = "JOBGATE_PROJECT", value_name = "ID")]
    project: String,

    /// The gateway
    #[arg(
        long,
        env = "JOBGATE_GATEWAY",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    gateway: Address,

    /// The time for the whole call, such as 250ms, 30s or 5m
    #[arg(
        long,
        env = "JOBGATE_TIMEOUT",
        value_name = "DURATION",
        value_parser = duration::parse,
        default_value = "30s"
    )]
    timeout: Duration,

    /// How to show the job
    #[arg(long, env = "JOBGATE_OUTPUT", value_enum, value_name = "FORM", default_value_t)]
    output: Output,

    /// Read the token from this file, `-` for stdin, instead of from `JOBGATE_TOKEN`
    #[arg(long, env = "JOBGATE_TOKEN_FILE", value_name = "PATH")]
    token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Tree,
    /// The protobuf JSON of the contract's `Job`
    Json,
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
        let Self { job, project, gateway, timeout, output: _, token_file } = self;
        let mut request = Request::new(GetJobRequest { project_id: project, job_id: job });
        if let Some(token) = Token::find(token_file.as_deref())? {
            request.metadata_mut().insert(token::KEY, token.metadata()?);
        }
        // After the token: typing one into stdin takes its time.
        let peer = Peer::new(gateway, timeout);
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
