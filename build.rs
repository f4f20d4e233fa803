//! Generates the gRPC code from `proto/` with a compiler written in Rust, so that nobody needs
//! `protoc`, and leaves the descriptor set beside it for server reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const PROTOS: [&str; 3] = [
    "proto/jobgate/v1/jobs.proto",
    "proto/jobgate/v1/errors.proto",
    "proto/grpc/health/v1/health.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let (health, contract): (Vec<_>, Vec<_>) =
        descriptors.file.into_iter().partition(|file| file.package() == "grpc.health.v1");
    let set = |file: &[_]| FileDescriptorSet { file: file.to_vec() };
    tonic_prost_build::configure().compile_fds(set(&health))?;
    tonic_prost_build::configure()
        .build_server(false)
        .btree_map(".jobgate.v1")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(set(&contract))?;
    // The server side by itself: it answers WatchJob with messages that are encoded already.
    let server = out.join("server");
    fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::proto::LeanCodec")
        .out_dir(server)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .extern_path(".jobgate.v1", "crate::proto::v1")
        .extern_path(".jobgate.v1.WatchJobResponse", "crate::proto::WatchJobReply")
        .compile_fds(set(&contract))?;
    Ok(())
}
