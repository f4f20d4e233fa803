//! From messages to text. Pure: no clock, no stream, no environment.
//!
//! Texts come with terminal colours in them, for the console to keep or drop, and without the
//! last line end. Whatever a server sent is made harmless for terminals.

mod chart;
mod error;
mod event;
mod json;
mod summary;
mod text;
mod time;
mod tree;

pub(crate) use self::{
    error::{failure, trouble, upstream_trouble},
    event::event,
    json::json,
    summary::summary,
    time::spelled,
    tree::{sketch, tree},
};

/// A status that came inside a message, as the same thing that ends a call.
pub(crate) fn as_grpc(status: &tonic_types::Status) -> tonic::Status {
    let details = prost::Message::encode_to_vec(status).into();
    tonic::Status::with_details(status.code.into(), status.message.clone(), details)
}
