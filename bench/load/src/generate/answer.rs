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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::v1::Job;

    fn frame(job: &Job) -> Vec<u8> {
        let message = job.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], &length[..], &message].concat()
    }

    fn job() -> Job {
        Job {
            job_id: "asked".to_owned(),
            status_text: "SUCCESS".to_owned(),
            entities: ["a", "b", "c", "d"].map(|it| (it.to_owned(), it.to_owned())).into(),
            begin_time: Some(prost_types::Timestamp::default()),
            sub_jobs: vec![Job::default(); 2],
            ..Job::default()
        }
    }

    #[test]
    fn the_job_that_was_asked_for_is_right() {
        check(&frame(&job()), "asked", 2).unwrap();
    }

    #[test]
    fn whatever_differs_is_wrong() {
        let fewer_entities = Job { entities: [].into(), ..job() };
        let another_word = Job { status_text: "FAIL".to_owned(), ..job() };
        assert!(check(&frame(&job()), "another", 2).is_err());
        assert!(check(&frame(&job()), "asked", 1).is_err());
        assert!(check(&frame(&fewer_entities), "asked", 2).is_err());
        assert!(check(&frame(&another_word), "asked", 2).is_err());
        assert!(check(&frame(&Job::default()), "asked", 2).is_err());
    }

    #[test]
    fn a_frame_is_whole_and_alone() {
        let frame = frame(&job());
        let mut longer = frame.clone();
        longer[4] += 1;
        assert!(check(&longer, "asked", 2).is_err());
        assert!(check(&[], "asked", 2).is_err());
        assert!(check(&frame[..frame.len() - 1], "asked", 2).is_err());
        assert!(check(&[&frame[..], &frame].concat(), "asked", 2).is_err());
    }
}
