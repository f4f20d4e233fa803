//! Whether there are credentials to ask with, as others are told.

/// Whether the upstream can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// The gateway has no credentials yet.
    Pending,
    /// Its own credentials are not accepted.
    Rejected,
    /// Its own credentials can't be had at present.
    Unavailable,
}
