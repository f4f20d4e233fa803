//! Jobs and errors as text. Pure: the time comes as an argument, and nothing is written here.

mod json;
mod status;
mod tree;

pub(super) use self::{json::json, status::status, tree::tree};

use jiff::{SignedDuration, Timestamp};

/// A time of the protocol; `None` if it is out of all bounds.
fn time(timestamp: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(timestamp.seconds, timestamp.nanos).ok()
}

/// A length of time for people: `850ms`, `4.2s`, `11m 18s`, `3h 05m`.
fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        ..0 => "0s".to_owned(),
        0 => format!("{}ms", duration.subsec_millis()),
        1..60 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}
