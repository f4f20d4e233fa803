//! `jobgate demo`: simulator and gateway in this process, and a backup job followed to its end.

use std::{env, net::SocketAddr, num::NonZeroUsize, path::Path, time::Duration};

use jobgate::{
    files::Reloads,
    grpc,
    server::{self, ui, web::Origins},
    simulator::{self, Script},
    telemetry::Tracer,
    upstream::{self, BaseUrl},
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tonic::metadata::MetadataValue;

use super::{
    console::Console,
    error::Error,
    exit::Exit,
    signals,
    target::{Output, Target},
    token::Credentials,
    watch::{self, Screen},
};

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
    /// The page, if it can be looked at before all ends.
    page: Option<SocketAddr>,
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
            let stage = Stage::set(keep).await?;
            let job_id = start_backup(stage.rest).await.map_err(Error::Demo)?;
            let exit = tokio::select! {
                exit = play(&stage, &job_id, console) => exit?,
                () = signals.next() => return Ok(Exit::Error),
            };
            console.print(&stage.commands(&job_id, keep)).map_err(Error::Output)?;
            if keep {
                signals.next().await;
            }
            stage.clear().await;
            Ok(exit)
        })
    }
}

async fn play(stage: &Stage, job_id: &str, console: Console) -> Result<Exit, Error> {
    let print = |text: &str| console.print(text).map_err(Error::Output);
    print(&format!("A cloud's REST API, simulated, at http://{}", stage.rest))?;
    print(&format!("jobgate, gRPC, at http://{}\n", stage.gateway))?;
    print(&format!("POST /v2/{PROJECT}/cloudbackups started job {job_id}; watching it:\n"))?;
    let address = format!("http://{}", stage.gateway);
    let address = address.parse().map_err(|_| Error::Demo("no address".to_owned()))?;
    let target = Target::new(job_id.to_owned(), PROJECT, address);
    let credentials = Credentials::of_token(MetadataValue::from_static(TOKEN));
    let steps = watch::follow(target, credentials, None);
    let watched = watch::watch(steps, Screen::new(console, Output::Tree));
    timeout(LONGEST, watched)
        .await
        .unwrap_or_else(|_| Err(Error::Demo("the job did not end".to_owned())))
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
    async fn set(keep: bool) -> Result<Self, Error> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let script = Script::builtin()?;
        let simulator = simulator::bind(simulator::Config { listen: free, script }).await?;
        let rest = simulator.local_addr();
        let base = BaseUrl::parse(&format!("http://{rest}"))
            .map_err(|error| Error::Demo(error.to_string()))?;
        let bound = server::bind(server::Config {
            listen: free,
            workers: NonZeroUsize::MIN,
            admin_listen: keep.then_some(free),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(2),
            connections: server::ConnectionLimits::default(),
            grpc: grpc::Config {
                timeout: Duration::from_secs(30),
                limits: grpc::Limits::default(),
                watch: jobgate::watch::Config {
                    poll_min: INTERVAL,
                    ..jobgate::watch::Config::default()
                },
            },
            upstream: upstream::Config {
                base,
                transport: upstream::TransportConfig::default(),
                credentials: upstream::Credentials::Passthrough,
                max_requests: 10,
            },
            tls: None,
            callers: None,
            // There is nothing here but what the simulator makes up.
            web: keep.then_some(Origins::Any),
            ui: keep.then(ui::Config::default),
            reload: Reloads::new(Duration::from_secs(10)),
            tracer: Tracer::default(),
        })
        .await?;
        let (gateway, page) = (bound.local_addr(), bound.admin_addr());
        let (stop_rest, rest_stopped) = oneshot::channel();
        let (stop_gateway, gateway_stopped) = oneshot::channel();
        let serving_rest = tokio::spawn(async move {
            let _ = simulator.run(async { drop(rest_stopped.await) }).await;
        });
        let serving_grpc = tokio::spawn(bound.run(async { drop(gateway_stopped.await) }));
        let (stops, tasks) = ([stop_gateway, stop_rest], [serving_grpc, serving_rest]);
        Ok(Self { rest, gateway, page, stops, tasks })
    }

    /// The commands with which one can go on.
    fn commands(&self, job_id: &str, running: bool) -> String {
        let Self { rest, gateway, page, .. } = self;
        let program = program();
        let first = if running {
            "Go on with these, and end with Ctrl-C:"
        } else {
            "With --keep it would still run, and you could go on with commands like these:"
        };
        let get = r#"{"project_id":"demo","job_id":"odd"}"#;
        let watch = format!(r#"{{"project_id":"{PROJECT}","job_id":"{job_id}"}}"#);
        let page = page.map(|page| {
            format!("\n\nIn a browser, with the token {TOKEN}: http://{page}/ui#{PROJECT}/{job_id}")
        });
        let page = page.unwrap_or_default();
        format!(
            "\n{first}\n\n\
             export JOBGATE_TOKEN={TOKEN} JOBGATE_PROJECT={PROJECT} \
             JOBGATE_GATEWAY=http://{gateway}\n\
             {program} get {job_id}\n\
             {program} get failed\n\
             {program} watch endless --output json\n\n\
             grpcurl -plaintext -H 'x-auth-token: {TOKEN}' -d '{get}' \\\n  \
             {gateway} jobgate.v1.JobService/GetJob\n\
             grpcurl -plaintext -H 'x-auth-token: {TOKEN}' -d '{watch}' \\\n  \
             {gateway} jobgate.v1.JobService/WatchJob\n\n\
             curl -H 'X-Auth-Token: {TOKEN}' http://{rest}/v1/{PROJECT}/jobs/{job_id}\n\
             curl -H 'X-Auth-Token: {TOKEN}' http://{rest}/v2/{PROJECT}/cloudbackups \\\n  \
             -d '{BACKUP}'{page}"
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

/// How to call this program from here.
fn program() -> String {
    let found = env::current_exe().ok().map(|path| {
        let here = env::current_dir().unwrap_or_default();
        let path = match path.strip_prefix(&here) {
            Ok(below) => Path::new(".").join(below),
            Err(_) => path,
        };
        path.display().to_string()
    });
    let path = found.unwrap_or_else(|| "jobgate".to_owned());
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
