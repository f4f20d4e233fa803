//! Generated code, fenced: the messages and services of `proto/`.

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};

/// The jobgate contract.
pub mod v1 {
    #![expect(clippy::pedantic, reason = "generated")]
    tonic::include_proto!("jobgate.v1");
}

/// The server side of the contract's service.
pub mod v1_server {
    #![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/server/jobgate.v1.rs"));
    pub use job_service_server::{JobService, JobServiceServer};
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

/// A [`v1::WatchJobResponse`], some of it encoded already.
///
/// What many watchers are told alike is encoded once and shared. On the wire the parts follow one
/// another, which protobuf reads as one message.
#[derive(Clone, Debug, Default)]
pub struct WatchJobReply {
    /// Fields that are encoded already.
    pub encoded: Bytes,
    /// The other fields.
    pub rest: v1::WatchJobResponse,
}

impl Message for WatchJobReply {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.encoded);
        self.rest.encode_raw(buf);
    }

    fn encoded_len(&self) -> usize {
        self.encoded.len() + self.rest.encoded_len()
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.rest.merge_field(tag, wire_type, buf, ctx)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
