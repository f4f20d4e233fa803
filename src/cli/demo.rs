//! `jobgate demo`: simulator and gateway in this process, and a backup job followed to its end.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use jobgate::{
    grpc,
    proto::v1::{GetJobRequest, Job, job_service_client::JobServiceClient},
    server,
    simulator::{self, Script},
    upstream::{self, BaseUrl},
    watch,
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tonic::{Request, metadata::MetadataValue};

use super::{client::Peer, console::Console, error::Error, exit::Exit, render, signals, token};

const PROJECT: &str = "demo";
const TOKEN: &str = "demo-token";
const INTERVAL: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
const BACKUP: &str =
    r#"{"backup":{"volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc","name":"demo"}}"#;

/// See it all work, on an embedded simulator
///
/// Starts a simulated cloud and a gateway on free ports, starts a backup job there, and follows it
/// to its end over gRPC.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Leave the simulator and the gateway running until Ctrl-C
    #[arg(long, env = "JOBGATE_DEMO_KEEP")]
    keep: bool,
}

/// What runs in this process, and how to end it.
struct Stage {
    rest: SocketAddr,
    gateway: SocketAddr,
    stops: [oneshot::Sender<()>; 2],
    tasks: [JoinHandle<()>; 2],
}

// === impl Demo ===

impl Demo {
    /// Runs the demo.
    pub(crate) fn run(self, console: Console) -> Result<Exit, Error> {
        let Self { keep } = self;
        let runtime = tokio::runtime::Runtime::new().map_err(Error::Runtime)?;
        runtime.block_on(async {
            let mut signals = signals::Signals::listen()?;
            let stage = Stage::set().await?;
            let exit = tokio::select! {
                exit = play(&stage, console) => exit?,
                () = signals.next() => return Ok(Exit::Error),
            };
            console.print(&stage.commands(keep)).map_err(Error::Output)?;
            if keep {
                signals.next().await;
            }
            stage.clear().await;
            Ok(exit)
        })
    }
}

async fn play(stage: &Stage, console: Console) -> Result<Exit, Error> {
    let print = |text: &str| console.print(text).map_err(Error::Output);
    print(&format!("A cloud's REST API, simulated, at http://{}", stage.rest))?;
    print(&format!("jobgate, gRPC, at http://{}\n", stage.gateway))?;
    let job_id = start_backup(stage.rest).await.map_err(Error::Demo)?;
    print(&format!("POST /v2/{PROJECT}/cloudbackups started job {job_id}"))?;
    let address = format!("http://{}", stage.gateway);
    let address = address.parse().map_err(|_| Error::Demo("no address".to_owned()))?;
    let peer = Peer::new(address, LONGEST);
    let job = peer.in_time(follow(&peer, &job_id, console)).await?;
    Ok(Exit::of(&job))
}

/// Asks for the job until it ends, and prints it whenever it has changed.
async fn follow(peer: &Peer, job_id: &str, console: Console) -> Result<Job, Error> {
    let mut client = JobServiceClient::new(peer.connect().await?);
    let mut last = None;
    loop {
        let message = GetJobRequest { project_id: PROJECT.into(), job_id: job_id.into() };
        let mut request = Request::new(message);
        request.metadata_mut().insert(token::KEY, MetadataValue::from_static(TOKEN));
        request.set_timeout(peer.time_left());
        let answer = client.get_job(request).await;
        let job = answer.map_err(|status| peer.error(status))?.into_inner();
        if last.as_ref() != Some(&job) {
            let tree = render::tree(&job, Timestamp::now());
            console.print(&format!("\n{tree}")).map_err(Error::Output)?;
        }
        if Exit::of(&job) != Exit::JobNotEnded {
            return Ok(job);
        }
        last = Some(job);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Starts a backup over REST, as a user of the cloud would.
async fn start_backup(rest: SocketAddr) -> Result<String, String> {
    let http = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
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
    async fn set() -> Result<Self, Error> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let script = Script::builtin()?;
        let simulator = simulator::bind(simulator::Config { listen: free, script }).await?;
        let rest = simulator.local_addr();
        let base = BaseUrl::parse(&format!("http://{rest}"))
            .map_err(|error| Error::Demo(error.to_string()))?;
        let bound = server::bind(server::Config {
            listen: free,
            admin_listen: None,
            drain_timeout: Duration::from_secs(2),
            grpc: grpc::Config {
                timeout: Duration::from_secs(30),
                watch: watch::Config { poll_min: INTERVAL, ..watch::Config::default() },
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
        Ok(Self { rest, gateway, stops, tasks })
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
             curl -H 'X-Auth-Token: {TOKEN}' http://{rest}/v1/{PROJECT}/jobs/failed"
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
