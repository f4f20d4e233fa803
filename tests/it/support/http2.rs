//! A peer that speaks HTTP/2 frame by frame, and so can do what no client library does.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::gateway::{GET_JOB, TOKEN};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection.
pub(crate) struct Http2(TcpStream);

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header as HPACK writes it without any table.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        // A length of up to 127 + 127 + 128 * 127 in at most three bytes.
        match text.len() {
            len @ 0..127 => bytes.push(u8::try_from(len).unwrap()),
            len => {
                let rest = len - 127;
                bytes.extend([127, u8::try_from(rest % 128).unwrap() | 128]);
                bytes.push(u8::try_from(rest / 128).unwrap());
            }
        }
        bytes.extend(text.bytes());
    }
    bytes
}

/// The headers of a GetJob with the tests' token.
pub(crate) fn get_job_headers() -> Vec<u8> {
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", GET_JOB),
        (":authority", "gateway"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-auth-token", TOKEN),
    ]
    .iter()
    .flat_map(|(name, value)| header(name, value))
    .collect()
}

/// The message of a GetJob for the usual job.
pub(crate) const GET_JOB_MESSAGE: &[u8] = b"\0\0\0\0\x08\x0a\x02p1\x12\x02j1";

/// A whole GetJob for the usual job.
pub(crate) fn call(stream: u32) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &get_job_headers());
    [head, frame(DATA, END_STREAM, stream, GET_JOB_MESSAGE)].concat()
}

// === impl Http2 ===

impl Http2 {
    /// A connection whose peer has said all that is asked of a client.
    pub(crate) async fn new(address: SocketAddr) -> Self {
        Self::with(address, &[]).await
    }

    /// The same with settings: ids and values.
    pub(crate) async fn with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut peer = Self(stream);
        let settings: Vec<_> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*frame(SETTINGS, 0, 0, &settings)];
        peer.send(&hello.concat()).await.unwrap();
        peer
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Sends a whole GetJob.
    pub(crate) async fn call(&mut self, stream: u32) {
        self.send(&call(stream)).await.unwrap();
    }

    /// The next frame; `None` once the gateway has ended the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next frame of this kind. Settings and pings are answered on the way.
    pub(crate) async fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let next = self.next().await?;
            if matches!(next.kind, SETTINGS | PING) && next.flags & ACK == 0 {
                let payload = if next.kind == PING { &*next.payload } else { &[] };
                // Whether it still reads is what the caller wants to know.
                let _ = self.send(&frame(next.kind, ACK, 0, payload)).await;
            }
            if next.kind == kind {
                return Some(next);
            }
        }
    }

    /// The code of the last GOAWAY before the end of the connection; `None` without one.
    pub(crate) async fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(goaway) = self.until(GOAWAY).await {
            code = Some(u32::from_be_bytes(goaway.payload[4..8].try_into().unwrap()));
        }
        code
    }

    /// Sends this until the gateway takes no more.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        while self.send(bytes).await.is_ok() {}
    }
}
