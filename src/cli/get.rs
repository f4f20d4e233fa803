//! `jobgate get`: one job, printed.

use jiff::Timestamp;
use jobgate::proto::v1::GetJobRequest;
use tonic::Request;

use super::{
    client::GatewayArgs,
    client_runtime,
    exit::{self, Exit},
    failure::Failure,
    print::{self, Color},
    render,
};

#[derive(Debug, clap::Args)]
#[command(after_help = exit::JOB_CODES)]
pub(super) struct Args {
    /// The job's id
    job: String,

    #[command(flatten)]
    gateway: GatewayArgs,

    /// How the job is printed
    #[arg(
        long,
        short,
        env = "JOBGATE_OUTPUT",
        value_name = "FORMAT",
        default_value = "tree"
    )]
    output: Output,

    /// When to use colour
    #[arg(
        long,
        env = "JOBGATE_COLOR",
        value_name = "WHEN",
        default_value = "auto"
    )]
    color: Color,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    /// For people
    Tree,
    /// The protobuf JSON mapping of jobgate.v1.Job
    Json,
}

/// Prints the job.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Args {
        job,
        gateway,
        output,
        color,
    } = args;
    let job = client_runtime()?.block_on(async {
        let message = GetJobRequest {
            project_id: gateway.project.clone(),
            job_id: job.clone(),
        };
        let mut request = Request::new(message);
        request.set_timeout(gateway.timeout);
        gateway.authorize(request.metadata_mut())?;
        let mut client = gateway.connect().await?;
        Ok::<_, Failure>(client.get_job(request).await?.into_inner())
    })?;
    let text = match output {
        Output::Tree => render::tree(&job, Timestamp::now()),
        Output::Json => render::json(&job),
    };
    print::out(&text, *color)?;
    Ok(Exit::of_job(job.status()))
}
