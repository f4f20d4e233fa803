//! The command line: what can be asked of the program, and who answers.

mod address;
mod check;
mod client;
mod console;
mod demo;
mod duration;
mod error;
mod exit;
mod gateway;
mod get;
mod health;
mod render;
mod serve;
mod signals;
mod simulate;
mod target;
mod telemetry;
mod tls;
mod token;
mod watch;

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue},
};
use tokio::runtime;

use self::{
    console::{Color, Console},
    error::Error,
    exit::Exit,
};

/// A gRPC gateway to the job-status API of Huawei-family clouds.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::codes())]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to use colour
    ///
    /// `auto` means: on a terminal, unless the variable `NO_COLOR` is set.
    #[arg(
        long,
        env = "JOBGATE_COLOR",
        value_enum,
        value_name = "WHEN",
        default_value_t,
        global = true
    )]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Check(Box<check::Check>),
    Demo(demo::Demo),
    Simulate(simulate::Simulate),
    Get(get::Get),
    Watch(watch::Watch),
    Health(health::Health),
}

// === impl Cli ===

impl Cli {
    /// Reads the command line, and ends the program if it is wrong.
    pub(crate) fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| discreet(error).exit())
    }
}

/// An error that does not repeat a value that may hold a password or key: a URL with such a part is
/// refused, and must not reach a log that way.
fn discreet(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && value.contains(['@', '?', '#'])
    {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}

/// Does what the command line asks for. Whatever goes wrong has been told on stderr on return.
pub(crate) fn run(cli: Cli) -> Exit {
    let Cli { command, color } = cli;
    let console = Console::new(color);
    let outcome = match command {
        Command::Serve(serve) => serve.run(console),
        Command::Check(check) => on_one_thread(check.run(console)),
        Command::Demo(demo) => demo.run(console),
        Command::Simulate(simulate) => on_one_thread(simulate.run(console)),
        Command::Get(get) => on_one_thread(get.run(console)),
        Command::Watch(watch) => on_one_thread(watch.run(console)),
        Command::Health(health) => on_one_thread(health.run(console)),
    };
    outcome.unwrap_or_else(|error| {
        console.complain(&error.report());
        error.exit()
    })
}

/// Runs a client's work to its end; one call at a time needs no more threads.
fn on_one_thread(work: impl Future<Output = Result<Exit, Error>>) -> Result<Exit, Error> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let outcome = runtime.block_on(work);
    // A name lookup can't be cancelled: dropping the runtime would wait for it past the deadline.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

    use super::{Cli, discreet, exit::Exit};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_errors() {
        let cases: [(&[&str], ErrorKind); 10] = [
            (&["get"], ErrorKind::MissingRequiredArgument),
            (&["get", "j", "--project", "p", "--timeout", "0s"], ErrorKind::ValueValidation),
            (&["get", "j", "--project", "p", "--gateway", "ftp://g"], ErrorKind::ValueValidation),
            (
                &["get", "j", "--project", "p", "--client-cert", "c"],
                ErrorKind::MissingRequiredArgument,
            ),
            (&["health", "--admin", "https://g:443"], ErrorKind::ValueValidation),
            (
                &["serve", "--upstream", "http://u", "--tls-cert", "c"],
                ErrorKind::MissingRequiredArgument,
            ),
            (
                &["serve", "--upstream", "http://u", "--tls-client-ca", "c"],
                ErrorKind::MissingRequiredArgument,
            ),
            (&["get", "j", "--project", "p", "--output", "xml"], ErrorKind::InvalidValue),
            (&["get", "j", "--project", "p", "--token", "t"], ErrorKind::UnknownArgument),
            (&["health", "extra"], ErrorKind::UnknownArgument),
        ];
        for (args, kind) in cases {
            let error = Cli::try_parse_from(["jobgate"].iter().chain(args)).unwrap_err();
            assert_eq!(error.kind(), kind, "{args:?}");
            assert_eq!(error.exit_code(), i32::from(Exit::Usage as u8), "{args:?}");
        }
    }

    #[test]
    fn a_secret_in_an_address_is_not_repeated() {
        for (option, address) in [
            ("--upstream", "https://me:pass1@vbs.example"),
            ("--upstream", "https://vbs.example/?key=pass1"),
            ("--upstream", "vbs.example/#pass1@"),
        ] {
            let error = Cli::try_parse_from(["jobgate", "serve", option, address]).unwrap_err();
            let text = discreet(error).render().to_string();
            assert!(text.contains(option) && !text.contains("pass1"), "{text}");
        }
    }

    #[test]
    fn every_option_has_an_environment_twin() {
        for command in Cli::command().get_subcommands() {
            for option in command.get_opts() {
                assert!(option.get_env().is_some(), "{} {option}", command.get_name());
            }
        }
    }
}
