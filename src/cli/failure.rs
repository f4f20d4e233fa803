//! Why a command could not do its work.

use std::{error::Error as _, io};

use jobgate::{server, simulator};
use tonic::Status;

use super::render;

/// Why a command could not do its work. Its text is what the user reads.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{}", chain(.0))]
    Bind(#[from] server::BindError),
    #[error("{}", render::status(.0))]
    Call(Box<Status>),
    #[error("the demo failed: {0}")]
    Demo(String),
    #[error("can't write the output: {0}")]
    Output(#[from] io::Error),
    #[error("can't start: {0}")]
    Runtime(#[source] io::Error),
    #[error("{0}")]
    Script(#[from] simulator::ScriptError),
    #[error("{}", chain(.0))]
    Simulator(#[from] simulator::BindError),
    #[error("can't reach the gateway at {address}: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{0}")]
    Usage(String),
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // A status that the transport made up has its cause with it; a server's has not.
        match status.source() {
            Some(source) if jobgate_details(&status) => {
                let reason = chain(source);
                Self::Unreachable {
                    address: "the given address".to_owned(),
                    reason,
                }
            }
            _ => Self::Call(Box::new(status)),
        }
    }
}

fn jobgate_details(status: &Status) -> bool {
    status.details().is_empty()
}
