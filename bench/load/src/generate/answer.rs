//! Whether a gRPC answer is the job that was asked for, for less than it costs to read all of it.

use anyhow::{Context as _, Result, bail, ensure};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Checks frame, id, the upstream's word for the status, and how many entities and sub jobs it has.
pub fn check(frame: &[u8], job_id: &str, sub_jobs: u32) -> Result<()> {
    let (head, mut message) = frame.split_at_checked(5).context("no frame")?;
    let length = u32::from_be_bytes(head[1..].try_into()?);
    ensure!(head[0] == 0 && length as usize == message.len(), "not one plain frame");
    let (mut id, mut word, mut entities, mut found) = (&b""[..], &b""[..], 0, 0);
    while !message.is_empty() {
        let (field, wire_type) = decode_key(&mut message)?;
        match (field, wire_type) {
            (1, WireType::LengthDelimited) => id = bytes(&mut message)?,
            (4, WireType::LengthDelimited) => word = bytes(&mut message)?,
            (5, WireType::LengthDelimited) => {
                bytes(&mut message)?;
                entities += 1;
            }
            (10, WireType::LengthDelimited) => {
                bytes(&mut message)?;
                found += 1;
            }
            _ => skip_field(wire_type, field, &mut message, DecodeContext::default())?,
        }
    }
    if id != job_id.as_bytes() || word != b"SUCCESS" || entities != 4 || found != sub_jobs {
        bail!("another job: {}", String::from_utf8_lossy(&frame[..frame.len().min(300)]));
    }
    Ok(())
}

fn bytes<'m>(message: &mut &'m [u8]) -> Result<&'m [u8]> {
    let length = decode_varint(message)?;
    let (bytes, rest) = message.split_at_checked(usize::try_from(length)?).context("cut short")?;
    *message = rest;
    Ok(bytes)
}
