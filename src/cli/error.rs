//! What can go wrong in a command, how it is told, and the exit code it ends with.

use std::{io, time::Duration};

use jobgate::{server, simulator, telemetry::ExportError, upstream::InvalidSecret};
use tonic::Status;

use super::{address::Address, exit::Exit, render, tls::TlsFileError, token::TokenError};

/// Options that are right each by itself, but not together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// Something is missing.
    #[error("{what} needs {flags}")]
    Needs { what: &'static str, flags: &'static str },
    /// A secret can't be used.
    #[error("{from} {problem}")]
    Secret { from: &'static str, problem: InvalidSecret },
    /// A flag that would do nothing.
    #[error("{flag} has no effect with --credentials {kind}")]
    Unused { flag: &'static str, kind: &'static str },
    /// A variable that is no option's and can't be used.
    #[error("{name}: {problem}")]
    Variable { name: &'static str, problem: String },
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The gateway can't be set up.
    #[error(transparent)]
    Bind(#[from] server::BindError),
    /// A gateway with these options would not work.
    #[error("{0}")]
    Check(String),
    /// The demo went wrong.
    #[error("the demo failed: {0}")]
    Demo(String),
    /// Traces can't be sent.
    #[error(transparent)]
    Export(ExportError),
    /// The gateway answered with an error.
    #[error("the call failed")]
    Rpc(#[source] Status),
    /// The watch ended well, but the job has not.
    #[error("the gateway ended the watch of a job that has not ended")]
    EndedEarly,
    /// The output could not be written.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The program could not get what it needs from the system.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// The script can't be played.
    #[error(transparent)]
    Script(#[from] simulator::ScriptError),
    /// The simulator can't be set up.
    #[error(transparent)]
    Simulator(#[from] simulator::BindError),
    /// No answer in the time given on the command line.
    #[error("no answer from {address} within {}", render::spelled(*.after))]
    TimedOut { address: Address, after: Duration },
    /// A certificate or key can't be read.
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    /// There is no token that could be sent.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The options do not go together.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// No connection, or one that broke, or nobody there who speaks gRPC.
    #[error("cannot reach {address}: {cause}")]
    Unreachable { address: Address, cause: String },
}

impl Error {
    /// The code the program ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Bind(_)
            | Self::Check(_)
            | Self::Demo(_)
            | Self::EndedEarly
            | Self::Export(_)
            | Self::Rpc(_)
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Simulator(_)
            | Self::TimedOut { .. }
            | Self::Unreachable { .. } => Exit::Error,
            Self::Script(_) | Self::TlsFile(_) | Self::Token(_) | Self::Usage(_) => Exit::Usage,
        }
    }

    /// The text for stderr.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Rpc(status) => render::failure(status),
            other => render::trouble(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let address: Address = "http://127.0.0.1:1".parse().unwrap();
        let cases = [
            (Error::Rpc(Status::not_found("no such job")), Exit::Error),
            (Error::Output(io::ErrorKind::StorageFull.into()), Exit::Error),
            (Error::Runtime(io::ErrorKind::OutOfMemory.into()), Exit::Error),
            (
                Error::TimedOut { address: address.clone(), after: Duration::from_secs(1) },
                Exit::Error,
            ),
            (Error::Token(TokenError::Illegal), Exit::Usage),
            (Error::Unreachable { address, cause: "connection refused".to_owned() }, Exit::Error),
        ];
        for (error, exit) in cases {
            assert_eq!(error.exit(), exit, "{error:?}");
        }
    }

    #[test]
    fn an_unreachable_gateway_is_named() {
        let error = Error::Unreachable {
            address: "http://127.0.0.1:1/".parse().unwrap(),
            cause: "connection refused".to_owned(),
        };
        assert_eq!(
            anstream::adapter::strip_str(&error.report()).to_string(),
            "error: cannot reach http://127.0.0.1:1: connection refused"
        );
    }
}
