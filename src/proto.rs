//! Generated code, fenced: the messages and services of `proto/`.

/// The jobgate contract.
pub mod v1 {
    #![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]
    tonic::include_proto!("jobgate.v1");
}

/// The gRPC health protocol.
pub mod health {
    #![expect(missing_docs, clippy::pedantic, reason = "generated")]
    #![allow(
        rustdoc::bare_urls,
        clippy::allow_attributes,
        reason = "generated; only rustdoc sees it"
    )]
    tonic::include_proto!("grpc.health.v1");
}

/// The encoded descriptor set of all of the above, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
