//! Generated code, fenced: the messages and services of `proto/`.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

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

/// The usual codec with small buffers, one of which stays with each open stream.
///
/// A job takes some hundred bytes; the usual 8 KiB would be most of what an idle watch costs. A
/// larger message makes its buffer grow.
#[derive(Clone, Copy, Debug)]
pub struct LeanCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for LeanCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for LeanCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, YIELD_THRESHOLD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER, YIELD_THRESHOLD))
    }
}

/// What a buffer begins with and grows by.
const BUFFER: usize = 512;

/// How many bytes of messages are gathered before they are sent; as usual.
const YIELD_THRESHOLD: usize = 32 << 10;

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
