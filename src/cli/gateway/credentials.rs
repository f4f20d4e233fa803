//! The options for the gateway's own credentials.
//!
//! Secrets come from files or from variables of the environment, never from flags.

use std::{env, os::unix::ffi::OsStrExt as _, path::PathBuf};

use clap::ValueEnum;
use jobgate::upstream::{
    BaseUrl, Credentials, Domain, GivenKey, MetadataService, PasswordLogin, Secret, SecretSource,
    Subject,
};

use crate::cli::error::UsageError;

const PASSWORD: &str = "JOBGATE_IAM_PASSWORD";
const SECRET_KEY: &str = "JOBGATE_SECRET_KEY";
const SECURITY_TOKEN: &str = "JOBGATE_SECURITY_TOKEN";

/// The variables that hold secrets.
pub(crate) const SECRET_VARIABLES: [&str; 3] = [PASSWORD, SECRET_KEY, SECURITY_TOKEN];

/// Whose credentials the upstream is asked with.
#[derive(Debug, clap::Args)]
pub(super) struct CredentialArgs {
    /// Whose credentials the upstream is asked with: each caller's own token; or the gateway's, by
    /// a user's password or by an access key
    #[arg(long, env = "JOBGATE_CREDENTIALS", value_name = "KIND", default_value = "passthrough")]
    credentials: Kind,

    #[command(flatten)]
    login: LoginArgs,

    #[command(flatten)]
    key: KeyArgs,
}

/// For `--credentials password`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
struct LoginArgs {
    /// Where IAM is, such as https://iam.eu-de.otc.t-systems.com; without the version
    #[arg(long, env = "JOBGATE_IAM_URL", value_name = "URL", value_parser = BaseUrl::parse)]
    iam_url: Option<BaseUrl>,

    /// The user's name, in the domain given
    #[arg(long, env = "JOBGATE_IAM_USER", value_name = "NAME")]
    iam_user: Option<String>,

    /// The user's id, instead of the name
    #[arg(long, env = "JOBGATE_IAM_USER_ID", value_name = "ID", conflicts_with = "iam_user")]
    iam_user_id: Option<String>,

    /// The name of the domain of the user, and of the project
    #[arg(long, env = "JOBGATE_IAM_DOMAIN", value_name = "NAME")]
    iam_domain: Option<String>,

    /// The id of that domain, instead of its name
    #[arg(long, env = "JOBGATE_IAM_DOMAIN_ID", value_name = "ID", conflicts_with = "iam_domain")]
    iam_domain_id: Option<String>,

    /// The project's name, such as eu-de
    #[arg(long, env = "JOBGATE_IAM_PROJECT", value_name = "NAME")]
    iam_project: Option<String>,

    /// The project's id, instead of the name
    #[arg(long, env = "JOBGATE_IAM_PROJECT_ID", value_name = "ID", conflicts_with = "iam_project")]
    iam_project_id: Option<String>,

    /// The name of the project's domain, if it is not the user's
    #[arg(long, env = "JOBGATE_IAM_PROJECT_DOMAIN", value_name = "NAME", requires = "iam_project")]
    iam_project_domain: Option<String>,

    /// A file with the password; or set the variable JOBGATE_IAM_PASSWORD to it
    #[arg(long, env = "JOBGATE_IAM_PASSWORD_FILE", value_name = "FILE")]
    iam_password_file: Option<PathBuf>,
}

/// For `--credentials aksk`.
#[derive(Debug, clap::Args)]
struct KeyArgs {
    /// Where the access key comes from: given here, or temporary ones from the metadata service of
    /// the server this runs on
    #[arg(long, env = "JOBGATE_KEY_SOURCE", value_name = "SOURCE", default_value = "given")]
    key_source: KeySource,

    /// The access key (AK)
    #[arg(long, env = "JOBGATE_ACCESS_KEY", value_name = "AK")]
    access_key: Option<String>,

    /// A file with the access key, to be replaced together with the secret key
    #[arg(
        long,
        env = "JOBGATE_ACCESS_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "access_key"
    )]
    access_key_file: Option<PathBuf>,

    /// A file with the secret key (SK); or set the variable JOBGATE_SECRET_KEY to it
    #[arg(long, env = "JOBGATE_SECRET_KEY_FILE", value_name = "FILE")]
    secret_key_file: Option<PathBuf>,

    /// A file with the security token of a temporary key; or set JOBGATE_SECURITY_TOKEN to it
    #[arg(long, env = "JOBGATE_SECURITY_TOKEN_FILE", value_name = "FILE")]
    security_token_file: Option<PathBuf>,

    /// Where the metadata service is
    #[arg(
        long,
        env = "JOBGATE_METADATA_URL",
        value_name = "URL",
        value_parser = BaseUrl::parse,
        default_value = "http://169.254.169.254"
    )]
    metadata_url: BaseUrl,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Passthrough,
    Password,
    Aksk,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeySource {
    Given,
    Metadata,
}

// === impl CredentialArgs ===

impl CredentialArgs {
    pub(super) fn config(self) -> Result<Credentials, UsageError> {
        let Self { credentials, login, key } = self;
        match credentials {
            Kind::Passthrough => {
                login.unused("passthrough")?;
                key.unused("passthrough")?;
                Ok(Credentials::Passthrough)
            }
            Kind::Password => {
                key.unused("password")?;
                Ok(Credentials::Password(login.login()?))
            }
            Kind::Aksk => {
                login.unused("aksk")?;
                key.credentials()
            }
        }
    }
}

// === impl LoginArgs ===

impl LoginArgs {
    fn unused(&self, kind: &'static str) -> Result<(), UsageError> {
        let Self {
            iam_url,
            iam_user,
            iam_user_id,
            iam_domain,
            iam_domain_id,
            iam_project,
            iam_project_id,
            iam_project_domain,
            iam_password_file,
        } = self;
        none_of(
            kind,
            [
                ("--iam-url", iam_url.is_some()),
                ("--iam-user", iam_user.is_some()),
                ("--iam-user-id", iam_user_id.is_some()),
                ("--iam-domain", iam_domain.is_some()),
                ("--iam-domain-id", iam_domain_id.is_some()),
                ("--iam-project", iam_project.is_some()),
                ("--iam-project-id", iam_project_id.is_some()),
                ("--iam-project-domain", iam_project_domain.is_some()),
                ("--iam-password-file", iam_password_file.is_some()),
            ],
        )
    }

    fn login(self) -> Result<PasswordLogin, UsageError> {
        let Self {
            iam_url,
            iam_user,
            iam_user_id,
            iam_domain,
            iam_domain_id,
            iam_project,
            iam_project_id,
            iam_project_domain,
            iam_password_file,
        } = self;
        let needs = |flags| UsageError::Needs { what: "--credentials password", flags };
        let domain = iam_domain.map(Domain::Name).or(iam_domain_id.map(Domain::Id));
        let project_domain = iam_project_domain.map(Domain::Name).or_else(|| domain.clone());
        let subject = |name: Option<String>, id: Option<String>, of: Option<Domain>, flags| match (
            id, name, of,
        ) {
            (Some(id), _, _) => Ok(Subject::Id { id }),
            (None, Some(name), Some(domain)) => Ok(Subject::Name { name, domain }),
            (None, Some(_), None) => Err(needs("--iam-domain or --iam-domain-id")),
            (None, None, _) => Err(needs(flags)),
        };
        let secret = secret(iam_password_file, PASSWORD)?;
        Ok(PasswordLogin {
            url: iam_url.ok_or_else(|| needs("--iam-url"))?,
            user: subject(iam_user, iam_user_id, domain, "--iam-user or --iam-user-id")?,
            project: subject(
                iam_project,
                iam_project_id,
                project_domain,
                "--iam-project or --iam-project-id",
            )?,
            password: secret
                .ok_or_else(|| needs("--iam-password-file or the variable JOBGATE_IAM_PASSWORD"))?,
        })
    }
}

// === impl KeyArgs ===

impl KeyArgs {
    fn unused(&self, kind: &'static str) -> Result<(), UsageError> {
        let Self {
            key_source,
            access_key,
            access_key_file,
            secret_key_file,
            security_token_file,
            // Has a default.
            metadata_url: _,
        } = self;
        none_of(
            kind,
            [
                ("--key-source", matches!(key_source, KeySource::Metadata)),
                ("--access-key", access_key.is_some()),
                ("--access-key-file", access_key_file.is_some()),
                ("--secret-key-file", secret_key_file.is_some()),
                ("--security-token-file", security_token_file.is_some()),
            ],
        )
    }

    fn credentials(self) -> Result<Credentials, UsageError> {
        let Self {
            key_source,
            access_key,
            access_key_file,
            secret_key_file,
            security_token_file,
            metadata_url,
        } = self;
        if let KeySource::Metadata = key_source {
            none_of(
                "aksk with --key-source metadata",
                [
                    ("--access-key", access_key.is_some()),
                    ("--access-key-file", access_key_file.is_some()),
                    ("--secret-key-file", secret_key_file.is_some()),
                    ("--security-token-file", security_token_file.is_some()),
                ],
            )?;
            return Ok(Credentials::Metadata(MetadataService { url: metadata_url }));
        }
        let needs = |flags| UsageError::Needs { what: "--credentials aksk", flags };
        let access_key = match access_key {
            Some(key) => Some(value("--access-key", key.as_bytes())?),
            None => access_key_file.map(SecretSource::File),
        };
        Ok(Credentials::Given(GivenKey {
            access_key: access_key.ok_or_else(|| needs("--access-key or --access-key-file"))?,
            secret_key: secret(secret_key_file, SECRET_KEY)?
                .ok_or_else(|| needs("--secret-key-file or the variable JOBGATE_SECRET_KEY"))?,
            security_token: secret(security_token_file, SECURITY_TOKEN)?,
        }))
    }
}

/// A flag that has no effect is a mistake about what has.
fn none_of<const N: usize>(
    kind: &'static str,
    flags: [(&'static str, bool); N],
) -> Result<(), UsageError> {
    match flags.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(UsageError::Unused { flag, kind }),
        None => Ok(()),
    }
}

/// A secret from the file if one is named, else from the environment.
fn secret(
    file: Option<PathBuf>,
    variable: &'static str,
) -> Result<Option<SecretSource>, UsageError> {
    match file {
        Some(path) => Ok(Some(SecretSource::File(path))),
        None => env::var_os(variable).map(|text| value(variable, text.as_bytes())).transpose(),
    }
}

fn value(from: &'static str, text: &[u8]) -> Result<SecretSource, UsageError> {
    let secret = Secret::line(text);
    secret.map(SecretSource::Value).map_err(|problem| UsageError::Secret { from, problem })
}
