//! What the client commands have in common: which job, at which gateway, with which token.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tonic::transport::ClientTlsConfig;

use super::{
    address::Address,
    tls::{TlsArgs, TlsFileError},
    token::{Credentials, TokenError},
};

/// Which job, at which gateway, with which token.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The job's id
    #[arg(value_name = "JOB")]
    pub(crate) job: String,

    /// The id of the project the job belongs to
    #[arg(long, env = "JOBGATE_PROJECT", value_name = "ID")]
    pub(crate) project: String,

    /// The gateway
    #[arg(
        long,
        env = "JOBGATE_GATEWAY",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) gateway: Address,

    /// Read the token from this file, `-` for stdin, instead of from `JOBGATE_TOKEN`
    #[arg(long, env = "JOBGATE_TOKEN_FILE", value_name = "PATH")]
    token_file: Option<PathBuf>,

    /// Read the caller's own token, if the gateway wants one, from this file, `-` for stdin, instead
    /// of from `JOBGATE_CALLER_TOKEN`
    #[arg(long, env = "JOBGATE_CALLER_TOKEN_FILE", value_name = "PATH")]
    caller_token_file: Option<PathBuf>,

    #[command(flatten)]
    tls: TlsArgs,
}

/// How a job is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Tree,
    /// The protobuf JSON of the contract
    Json,
}

impl Target {
    /// For a token that is already there.
    pub(crate) fn new(job: String, project: &str, gateway: Address) -> Self {
        Self {
            job,
            project: project.to_owned(),
            gateway,
            token_file: None,
            caller_token_file: None,
            tls: TlsArgs::default(),
        }
    }

    /// What goes with each call.
    pub(crate) fn credentials(&self) -> Result<Credentials, TokenError> {
        Credentials::find(self.token_file.as_deref(), self.caller_token_file.as_deref())
    }

    /// TLS, if the gateway's address has it.
    pub(crate) fn tls(&self) -> Result<Option<ClientTlsConfig>, TlsFileError> {
        self.gateway.is_tls().then(|| self.tls.config()).transpose()
    }
}
