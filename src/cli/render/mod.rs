//! From messages to text. Pure: no clock, no stream, no environment.
//!
//! Texts come with terminal colours in them, for the console to keep or drop, and without the
//! last line end. Whatever a server sent is made harmless for terminals.

mod error;
mod json;
mod text;
mod time;
mod tree;

pub(crate) use self::{
    error::{failure, trouble},
    json::json,
    time::spelled,
    tree::tree,
};
