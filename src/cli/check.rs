//! `jobgate check`: whether a gateway with these options would work, without serving.

use std::{env, num::NonZeroUsize, os::unix::ffi::OsStrExt as _, sync::Arc, time::Duration};

use clap::{CommandFactory as _, parser::ValueSource};
use jobgate::{
    grpc,
    job::JobPath,
    server,
    upstream::{
        Credential, Credentials, ErrorKind, Fetched, PasswordLogin, Subject, Token, Trace, Upstream,
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    Cli, console::Console, error::Error, exit::Exit, gateway::SECRET_VARIABLES, serve::Serve,
};

/// A job that no cloud has.
const NO_JOB: &str = "jobgate-check";

/// What callers' credentials are put in place of when there are none.
const NO_TOKEN: &[u8] = b"jobgate-check";

/// Check the options of `serve` without serving
///
/// Shows the options as they are in effect, reads all files, and asks the upstream, and IAM if it
/// gives the credentials, for a job that does not exist. Takes the options and variables of `serve`;
/// needs no free ports.
#[derive(Debug, clap::Args)]
#[command(after_help = MANUAL_END)]
pub(crate) struct Check {
    #[command(flatten)]
    serve: Serve,

    /// The project to ask about; without, rights for projects are not checked
    #[arg(long, env = "JOBGATE_PROJECT", value_name = "ID")]
    project: Option<String>,

    /// Ask nobody: check options and files only
    #[arg(long, env = "JOBGATE_CHECK_OFFLINE")]
    offline: bool,
}

const MANUAL_END: &str = "With --credentials passthrough, JOBGATE_TOKEN is asked with if it is set.

Exit codes:
  0  it would work
  1  it would not: a file, the upstream or the credentials are not good
  2  the command line is wrong";

/// The time for all questions.
const LIMIT: Duration = Duration::from_secs(30);

// === impl Check ===

impl Check {
    /// Checks, and tells what it finds.
    pub(crate) async fn run(self, console: Console) -> Result<Exit, Error> {
        let Self { serve, project, offline } = self;
        let print = |text: &str| console.print(text).map_err(Error::Output);
        for option in options().into_iter().chain(secrets()) {
            print(&option)?;
        }
        let (gateway, telemetry) = serve.parts();
        telemetry.collector()?;
        let config = gateway.config(NonZeroUsize::MIN)?;
        let project = project.or_else(|| own_project(&config.upstream.credentials));
        // Nobody knows what a cloud says to a signature for a project that it does not know.
        let aimless = project.is_none() && is_key(&config.upstream.credentials);
        let prepared = server::prepare(config).await?;
        print("\nok: options and files")?;
        if offline {
            return Ok(Exit::Success);
        }
        if aimless {
            print("not asked: the upstream; with an access key it needs --project")?;
            return Ok(Exit::Success);
        }
        let upstream = prepared.upstream();
        let path = JobPath::parse(project.as_deref().unwrap_or(NO_JOB), NO_JOB)
            .map_err(|invalid| Error::Check(format!("--project: {invalid}")))?;
        let fetched = ask(upstream, &path).await?;
        match verdict(&fetched, &path, project.is_some(), upstream.own_credential().is_some()) {
            Ok(good) => print(&format!("ok: {good}"))?,
            Err(bad) => return Err(Error::Check(bad)),
        }
        Ok(Exit::Success)
    }
}

/// The project that the gateway's own credentials are for, as far as that is known.
fn own_project(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::Password(PasswordLogin { project: Subject::Id { id }, .. }) => {
            Some(id.clone())
        }
        Credentials::Password(_)
        | Credentials::Passthrough
        | Credentials::Given(_)
        | Credentials::Metadata(_) => None,
    }
}

fn is_key(credentials: &Credentials) -> bool {
    matches!(credentials, Credentials::Given(_) | Credentials::Metadata(_))
}

/// The options as they are in effect. None of them is a secret: those are in files and variables.
fn options() -> Vec<String> {
    let matches = Cli::command().get_matches();
    let Some((name, matches)) = matches.subcommand() else {
        return Vec::new();
    };
    let mut command = Cli::command();
    // Options of the program as a whole are known to it only then.
    command.build();
    let command = command.find_subcommand(name);
    let arguments = command.iter().flat_map(|command| command.get_arguments());
    let shown = arguments.filter_map(|argument| {
        let id = argument.get_id().as_str();
        let values = matches.get_raw(id)?.map(|value| value.to_string_lossy());
        let source = match matches.value_source(id)? {
            ValueSource::DefaultValue => "default".into(),
            ValueSource::EnvVariable => argument.get_env()?.to_string_lossy(),
            _ => "command line".into(),
        };
        let value = values.collect::<Vec<_>>().join(" ");
        Some(format!("--{} {value}    ({source})", argument.get_long()?))
    });
    shown.collect()
}

/// The variables that hold secrets and are set. Their values are nobody's business.
fn secrets() -> impl Iterator<Item = String> {
    let set = SECRET_VARIABLES.into_iter().filter(|name| env::var_os(name).is_some());
    set.map(|name| format!("{name} is set    (not shown)"))
}

/// Asks for a job that does not exist.
async fn ask(upstream: &Upstream, path: &JobPath) -> Result<Fetched, Error> {
    let token = || {
        let own = env::var_os("JOBGATE_TOKEN");
        Token::parse(own.as_ref().map_or(NO_TOKEN, |token| token.as_bytes()))
    };
    let credential = match upstream.own_credential() {
        Some(own) => own,
        None => Credential::from(token().map_err(|invalid| Error::Check(invalid.to_string()))?),
    };
    let (deadline, trace) = (Instant::now() + LIMIT, Arc::new(Trace::fresh()));
    let fetched = timeout_at(deadline, upstream.fetch(path, &credential, &trace, deadline));
    fetched.await.map_err(|_| Error::Check("no answer within 30 s".to_owned()))
}

/// What an answer says of the gateway.
fn verdict(fetched: &Fetched, path: &JobPath, project: bool, own: bool) -> Result<String, String> {
    let taken = "the upstream answers and takes the credentials";
    let Err(error) = &fetched.result else {
        return Ok(taken.to_owned());
    };
    match error.kind {
        ErrorKind::JobNotFound | ErrorKind::JobExpired => Ok(taken.to_owned()),
        ErrorKind::CredentialsRejected if !own && env::var_os("JOBGATE_TOKEN").is_none() => {
            Ok("the upstream answers; callers bring their own tokens".to_owned())
        }
        ErrorKind::PermissionDenied if !project => {
            Ok("the upstream answers and takes the credentials; with --project it says for which"
                .to_owned())
        }
        _ => {
            let told = grpc::Error::Upstream { error: error.clone(), path: path.clone() };
            let mut text = told.to_string();
            text.extend(fetched.http_status.map(|status| format!(" (HTTP {status})")));
            // What callers are told has a part of it already, or nothing of it.
            if !text.contains(&error.detail) {
                text.extend([": ", &error.detail]);
            }
            Err(text)
        }
    }
}
