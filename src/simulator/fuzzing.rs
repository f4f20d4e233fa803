//! What the fuzz targets reach of this room.

use std::time::Duration;

use http::request::Parts;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Script,
    life::Job,
    script::Answer,
    signature::{self, Claim},
};

/// The jobs of a script at a time after its start: their ids and answers.
pub(crate) fn play(script: &Script, after: Duration) -> Vec<(String, Value)> {
    let lives = script.jobs.iter().filter_map(|job| match &job.answer {
        Answer::Life(life) => Some((job.id.clone(), life.clone())),
        Answer::Raw(..) => None,
    });
    let play = |(id, life): (String, Box<super::script::Life>)| {
        let begun = Timestamp::UNIX_EPOCH;
        let job = Job { id: id.clone(), life: *life, begun, names: Vec::new() };
        (id, job.at(after))
    };
    lives.map(play).collect()
}

/// The statuses of a script's faults, as they are answered.
pub(crate) fn faults(script: &Script) -> Vec<u16> {
    script.faults.iter().map(|fault| fault.answer("r").status().as_u16()).collect()
}

/// Whether the simulator takes a request as signed with this secret key.
pub(crate) fn is_signed(authorization: &str, secret_key: &str, parts: &Parts, body: &[u8]) -> bool {
    let _ = signature::date(&parts.headers);
    Claim::parse(authorization).is_some_and(|claim| claim.holds(secret_key, parts, body))
}
