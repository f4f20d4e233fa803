//! What `bench/run` needs besides the systems it measures: an upstream, the floor, and the load.

mod certificate;
mod dial;
mod floor;
mod generate;
mod grpc;
mod payload;
mod process;
mod proto;
mod upstream;
mod watch;

use clap::Parser;

#[derive(Parser)]
enum Command {
    /// Writes a certificate for localhost and its key
    Certificate(certificate::Args),
    /// gRPC answered from memory
    Floor(floor::Args),
    /// Calls a gateway or the upstream itself, and prints what that took, as JSON
    Generate(generate::Args),
    /// The REST API, with the same few answers always
    Upstream(upstream::Args),
    /// Watches jobs, changes them, and prints what that took, as JSON
    Watch(watch::Args),
}

// One thread, as there may be one core for all of this.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Certificate(args) => certificate::write(&args),
        Command::Floor(args) => floor::serve(args).await,
        Command::Generate(args) => generate::run(args).await,
        Command::Upstream(args) => upstream::serve(args).await,
        Command::Watch(args) => watch::run(args).await,
    }
}
