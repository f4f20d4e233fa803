//! A certificate for the measurements with TLS.

use std::{fs, path::PathBuf};

use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {
    /// Where to write it, in PEM
    #[arg(long)]
    certificate: PathBuf,
    #[arg(long)]
    key: PathBuf,
}

pub fn write(args: &Args) -> Result<()> {
    // An elliptic curve (P-256), as is usual by now.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(&args.certificate, made.cert.pem())?;
    fs::write(&args.key, made.signing_key.serialize_pem())?;
    Ok(())
}
