//! Refusals of calls that never reach the service, told like all others.
//!
//! tonic itself refuses an unknown method, a message it can't decode and one that is too large,
//! with a bare code and a text that shows its insides.

use http::{HeaderMap, Request, Response};
use tonic::Code;

use super::{MAX_REQUEST, error::Error, is_of_jobs, record::CallRecord};

/// Makes a bare error of the job service one with details.
///
/// Other services' errors are those of their own documents and stay as they are. A response with an
/// [`Error`] in its extensions has been made of that one.
pub fn with_details<B: Default>(response: Response<B>, call: &Refusable) -> Response<B> {
    if let Some(error) = response.extensions().get::<Error>() {
        call.record.failed(error);
        return response;
    }
    if call.own && is_cut_off(response.headers()) {
        // Nobody hears it, but it is counted.
        return tonic::Status::cancelled("the message has no end").into_http();
    }
    match call.own.then(|| refusal(response.headers())).flatten() {
        Some(error) => call.record.refuse(&error),
        None => response,
    }
}

/// What must be known of a call to refuse it well.
#[derive(Clone, Debug)]
pub struct Refusable {
    own: bool,
    record: CallRecord,
}

// === impl Refusable ===

impl Refusable {
    /// Takes note of a call before it is served.
    pub fn of<B>(request: &Request<B>) -> Self {
        let own = is_of_jobs(request.uri().path());
        Self { own, record: CallRecord::of(request.extensions()) }
    }
}

/// Whether the caller was gone before all of his message had come. Nothing else ends with this code:
/// an error of ours has details, and tonic's others have other codes.
fn is_cut_off(head: &HeaderMap) -> bool {
    let code = head.get(tonic::Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()));
    code == Some(Code::Unknown) && !head.contains_key("grpc-status-details-bin")
}

/// The error in a head that tonic made by itself.
fn refusal(head: &HeaderMap) -> Option<Error> {
    if head.contains_key("grpc-status-details-bin") {
        return None;
    }
    let code = Code::from_bytes(head.get(tonic::Status::GRPC_STATUS)?.as_bytes());
    match code {
        // The answer to an unknown compression, and told as the protocol wants it.
        Code::Unimplemented if head.contains_key("grpc-accept-encoding") => None,
        Code::Unimplemented => Some(Error::MethodNotImplemented),
        Code::OutOfRange | Code::ResourceExhausted => {
            Some(Error::InvalidMessage { problem: TOO_LARGE })
        }
        Code::Internal | Code::InvalidArgument => {
            Some(Error::InvalidMessage { problem: "can't be decoded" })
        }
        _ => None,
    }
}

const TOO_LARGE: &str = "is larger than 64 KiB";
const _: () = assert!(MAX_REQUEST == 64 << 10, "the text names the limit");
