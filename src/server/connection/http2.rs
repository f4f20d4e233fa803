//! What a peer may do on an HTTP/2 connection.
//!
//! Some floods need no limit here, because the HTTP/2 library has one: it answers PING and SETTINGS
//! one at a time and reads no further meanwhile, and ends connections that send too many
//! CONTINUATION frames, or DATA frames with little or nothing in them.

use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};

use super::Limits;

/// The most bytes of a call's headers. The API's gateway takes 32 KiB in one, and old tokens need
/// it. A call with more is refused, and a connection that sends four times as much is ended.
const MAX_HEADERS: u32 = 64 << 10;

/// The bytes that a peer may send ahead for one call: the largest request there is.
const STREAM_WINDOW: u32 = 64 << 10;

/// The bytes that a peer may send ahead for all its calls, and so what it can have us hold. The
/// library derives from it how many small messages may lie unread, about two thousand.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// How many calls may have been taken back before they were looked at (CVE-2023-44487). All that
/// come in one breath are looked at together, so there are never many.
const MAX_PENDING_RESETS: usize = 20;

/// How many calls may have been ended for faults of the peer, over the life of the connection.
const MAX_FAULTS: usize = 1024;

/// Sets all of it.
pub(super) fn limit<E>(builder: &mut Builder<E>, limits: &Limits) {
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(limits.max_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_FAULTS)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
}
