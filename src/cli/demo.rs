//! `jobgate demo`: simulator and gateway in this process, and a backup job followed to its end.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use jobgate::{
    grpc,
    proto::v1::{GetJobRequest, Job, job_service_client::JobServiceClient},
    server,
    simulator::{self, Script},
    upstream::{self, BaseUrl},
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{Request, transport::Channel};

use super::{
    client,
    exit::Exit,
    failure::Failure,
    print::{self, BOLD, Color, DIM, RESET},
    render, signals,
};

const PROJECT: &str = "demo";
const TOKEN: &str = "demo-token";
const INTERVAL: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
const BACKUP: &str =
    r#"{"backup":{"volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc","name":"demo"}}"#;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Leave the simulator and the gateway running until Ctrl-C
    #[arg(long, env = "JOBGATE_DEMO_KEEP")]
    keep: bool,

    /// When to use colour
    #[arg(
        long,
        env = "JOBGATE_COLOR",
        value_name = "WHEN",
        default_value = "auto"
    )]
    color: Color,
}

/// What runs in this process, and how to end it.
struct Stage {
    rest: SocketAddr,
    gateway: SocketAddr,
    stops: [oneshot::Sender<()>; 2],
    tasks: [JoinHandle<()>; 2],
}

/// Runs the demo.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Args { keep, color } = args;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let mut signals = signals::Signals::listen()?;
        let stage = Stage::set().await?;
        let exit = tokio::select! {
            exit = play(&stage, *color) => exit?,
            () = signals.next() => Exit::Error,
        };
        print::out(&stage.commands(*keep), *color)?;
        if *keep && exit == Exit::Success {
            signals.next().await;
        }
        stage.clear().await;
        Ok(exit)
    })
}

async fn play(stage: &Stage, color: Color) -> Result<Exit, Failure> {
    let intro = format!(
        "{BOLD}A cloud's REST API{RESET} (simulated) at http://{}\n\
         {BOLD}jobgate{RESET} at http://{}, gRPC\n\n",
        stage.rest, stage.gateway
    );
    print::out(&intro, color)?;
    let job_id = start_backup(stage.rest).await.map_err(Failure::Demo)?;
    print::out(
        &format!("{DIM}POST /v2/{PROJECT}/cloudbackups{RESET} started job {job_id}\n"),
        color,
    )?;
    let url = format!("http://{}", stage.gateway);
    let client = client::channel(&url, LONGEST)
        .await
        .map(JobServiceClient::new)?;
    let job = timeout(LONGEST, follow(client, &job_id, color))
        .await
        .map_err(|_| Failure::Demo(format!("the job has not ended within {LONGEST:?}")))??;
    Ok(Exit::of_job(job.status()))
}

/// Asks for the job until it ends, and prints it whenever it has changed.
async fn follow(
    mut client: JobServiceClient<Channel>,
    job_id: &str,
    color: Color,
) -> Result<Job, Failure> {
    let mut last = None;
    loop {
        let message = GetJobRequest {
            project_id: PROJECT.into(),
            job_id: job_id.into(),
        };
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("x-auth-token", TOKEN.parse().map_err(|_| bad_token())?);
        request.set_timeout(LONGEST);
        let job = client.get_job(request).await?.into_inner();
        if last.as_ref() != Some(&job) {
            print::out(
                &format!("\n{}", render::tree(&job, Timestamp::now())),
                color,
            )?;
        }
        if Exit::of_job(job.status()) != Exit::JobNotEnded {
            return Ok(job);
        }
        last = Some(job);
        tokio::time::sleep(INTERVAL).await;
    }
}

fn bad_token() -> Failure {
    Failure::Demo("the demo's token can't be sent".to_owned())
}

/// Starts a backup over REST, as a user of the cloud would.
async fn start_backup(rest: SocketAddr) -> Result<String, String> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(|error| error.to_string())?;
    let request = http
        .post(format!("http://{rest}/v2/{PROJECT}/cloudbackups"))
        .header("x-auth-token", TOKEN)
        .header("content-type", "application/json")
        .body(BACKUP);
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let text = answer.text().await.map_err(|error| error.to_string())?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    json["job_id"].as_str().map(str::to_owned).ok_or(text)
}

// === impl Stage ===

impl Stage {
    async fn set() -> Result<Self, Failure> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let script = Script::builtin()?;
        let simulator = simulator::bind(simulator::Config {
            listen: free,
            script,
        })
        .await?;
        let rest = simulator.local_addr();
        let base = BaseUrl::parse(&format!("http://{rest}"))
            .map_err(|error| Failure::Demo(error.to_string()))?;
        let bound = server::bind(server::Config {
            listen: free,
            admin_listen: None,
            drain_timeout: Duration::from_secs(2),
            grpc: grpc::Config {
                timeout: Duration::from_secs(30),
            },
            upstream: upstream::Config {
                base,
                attempt_timeout: Duration::from_secs(10),
                connect_timeout: Duration::from_secs(3),
            },
        })
        .await?;
        let gateway = bound.local_addr();
        let (stop_rest, rest_stopped) = oneshot::channel();
        let (stop_gateway, gateway_stopped) = oneshot::channel();
        let serving_rest = tokio::spawn(async move {
            let _ = simulator.run(async { drop(rest_stopped.await) }).await;
        });
        let serving_grpc = tokio::spawn(bound.run(async { drop(gateway_stopped.await) }));
        let (stops, tasks) = ([stop_gateway, stop_rest], [serving_grpc, serving_rest]);
        Ok(Self {
            rest,
            gateway,
            stops,
            tasks,
        })
    }

    /// The commands with which one can go on.
    fn commands(&self, running: bool) -> String {
        let Self { rest, gateway, .. } = self;
        let first = if running {
            "Go on with these, and end with Ctrl-C:"
        } else {
            "Run `jobgate demo --keep` to leave it running and try these with its addresses:"
        };
        format!(
            "\n{first}\n\n  \
             JOBGATE_TOKEN={TOKEN} jobgate get finished --project {PROJECT} \
             --gateway http://{gateway}\n\n  \
             grpcurl -plaintext -H 'x-auth-token: {TOKEN}' \\\n    \
             -d '{{\"project_id\":\"{PROJECT}\",\"job_id\":\"odd\"}}' \\\n    \
             {gateway} jobgate.v1.JobService/GetJob\n\n  \
             curl -H 'X-Auth-Token: {TOKEN}' http://{rest}/v1/{PROJECT}/jobs/failed\n"
        )
    }

    async fn clear(self) {
        for (stop, task) in self.stops.into_iter().zip(self.tasks) {
            let _ = stop.send(());
            // A client with an open connection need not be waited for.
            let _ = timeout(Duration::from_secs(3), task).await;
        }
    }
}
