//! A time that is read can be said in protobuf, and is the same when written and read again.

use crate::{grpc::fuzzing::timestamp, upstream::fuzzing::time};

/// Of the years 1 to 9999, as protobuf has it.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A time in an answer.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Some(read) = time(text) else {
        return;
    };
    let message = timestamp(read);
    assert!(SECONDS.contains(&message.seconds) && (0..1_000_000_000).contains(&message.nanos));
    assert_eq!(time(&read.to_string()), Some(read));
    assert_eq!(time(&format!(" {text}\n")), Some(read));
    // With a blank instead of the `T`, and without a zone.
    assert_eq!(time(&read.to_string().replace('T', " ").replace('Z', "")), Some(read));
}
