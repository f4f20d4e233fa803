//! `jobgate watch`: follows a job to its end.

mod follow;
mod screen;

use std::{io::ErrorKind, time::Duration};

use clap::Args;
use futures_util::StreamExt as _;
use jobgate::proto::v1::{Job, watch_job_response::Event};
use tokio::time::{self, MissedTickBehavior};

pub(crate) use self::{
    follow::{Step, follow},
    screen::Screen,
};
use super::{
    console::Console,
    duration,
    error::Error,
    exit::{self, Exit},
    target::{Output, Target},
};

/// How often durations of jobs under way are brought up to date on a terminal.
const TICK: Duration = Duration::from_secs(1);

/// Follow a job to its end
///
/// On a terminal the job is shown as a tree that changes with it; elsewhere each change is a line.
/// A watch that breaks after its first answer, because the gateway restarts, say, is taken up again
/// where it was, for as long as it takes. The token is the variable `JOBGATE_TOKEN`, or the content
/// of `--token-file`.
#[derive(Args, Debug)]
#[command(after_help = manual_end())]
pub(crate) struct Watch {
    #[command(flatten)]
    target: Target,

    /// The most time to watch, such as 30s or 5m; without it, until the job ends
    #[arg(
        long,
        env = "JOBGATE_CLIENT_TIMEOUT",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    timeout: Option<Duration>,

    /// How to show the job; as JSON, each event is a line
    #[arg(long, env = "JOBGATE_OUTPUT", value_enum, value_name = "FORM", default_value_t)]
    output: Output,
}

impl Watch {
    /// Watches, shows what happens, and ends with the code for the job's end.
    pub(crate) async fn run(self, console: Console) -> Result<Exit, Error> {
        let Self { target, timeout, output } = self;
        let screen = Screen::new(console, output);
        let (credentials, tls) = (target.credentials()?, target.tls()?);
        let watched = async {
            match watch(follow(target, credentials, tls), screen).await {
                // Who reads the lines has seen enough.
                Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                    Ok(Exit::JobNotEnded)
                }
                other => other,
            }
        };
        match timeout {
            None => watched.await,
            Some(timeout) => time::timeout(timeout, watched).await.unwrap_or_else(|_| {
                console.complain(&format!(
                    "the job has not ended within {}",
                    super::render::spelled(timeout)
                ));
                Ok(Exit::JobNotEnded)
            }),
        }
    }
}

/// Shows all steps until the watch ends.
pub(crate) async fn watch(
    steps: impl futures_util::Stream<Item = Result<Step, Error>>,
    mut screen: Screen,
) -> Result<Exit, Error> {
    let mut steps = std::pin::pin!(steps);
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        let step = tokio::select! {
            step = steps.next() => step,
            _ = ticks.tick() => {
                screen.tick().map_err(Error::Output)?;
                continue;
            }
        };
        match step {
            Some(Ok(Step::Event(response))) => {
                screen.event(&response).map_err(Error::Output)?;
                if let Some(Event::Job(job)) = response.event {
                    last = Some(job);
                }
            }
            Some(Ok(Step::Lost { error, wait })) => {
                screen.lost(&error, wait).map_err(Error::Output)?;
            }
            Some(Err(error)) => return Err(error),
            None => return ended(last.as_ref(), &mut screen),
        }
    }
}

fn ended(last: Option<&Job>, screen: &mut Screen) -> Result<Exit, Error> {
    screen.end().map_err(Error::Output)?;
    match last.map(Exit::of) {
        Some(Exit::JobNotEnded) | None => Err(Error::EndedEarly),
        Some(exit) => Ok(exit),
    }
}

fn manual_end() -> String {
    format!(
        "{}\n\n\
        Examples:\n\
        \x20 jobgate watch --project 0a1b2c 4010b39b5281d3590152874bfa3b1604\n\
        \x20 jobgate watch --project 0a1b2c 4010b39b --timeout 2h && start-the-restore\n\
        \x20 jobgate watch --project 0a1b2c 4010b39b --output json | jq -c .job.status",
        exit::codes()
    )
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use jobgate::proto::v1::{JobStatus, WatchJobResponse};

    use super::*;
    use crate::cli::console::Color;

    async fn ends(states: impl IntoIterator<Item = JobStatus>) -> Result<Exit, Error> {
        let steps = states.into_iter().map(|status| {
            let job = Job { status: status as i32, ..Job::default() };
            let event = Some(Event::Job(job));
            Ok(Step::Event(WatchJobResponse { event, ..WatchJobResponse::default() }))
        });
        let screen = Screen::new(Console::new(Color::Never), Output::Json);
        watch(stream::iter(steps.collect::<Vec<_>>()), screen).await
    }

    #[tokio::test]
    async fn a_good_end_without_the_jobs_end_is_an_error() {
        assert!(matches!(ends([]).await, Err(Error::EndedEarly)));
        assert!(matches!(ends([JobStatus::Running]).await, Err(Error::EndedEarly)));
        assert_eq!(ends([JobStatus::Running, JobStatus::Fail]).await.unwrap(), Exit::JobFailed);
    }
}
