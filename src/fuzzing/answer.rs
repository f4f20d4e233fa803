//! An answer of the upstream is a job or an error, and both fit into the contract, whatever it is.

use std::sync::Arc;

use prost::Message as _;
use serde_json::Value;
use tonic::Status;

use super::input;
use crate::{
    grpc,
    job::{Job, JobPath, MAX_DEPTH},
    proto::v1,
    upstream::{
        FetchError, MAX_RETRY_AFTER,
        fuzzing::{self as upstream, Answer, MAX_TEXTS},
    },
};

/// The most bytes of all headers with which a call fails.
const MAX_TRAILERS: usize = 6 << 10;

/// An answer of the upstream: `404`, headers, a blank line, the body. `404 cut`: not all of it came.
pub fn check(input: &[u8]) {
    let (Some(answer), Ok(path)) = (input::answer(input), JobPath::parse("p", "asked")) else {
        return;
    };
    let read = upstream::read(&answer, &path, &[]);
    assert_eq!(read, upstream::read(&answer, &path, &[]), "another answer the second time");
    match read {
        Ok(job) => fits_the_contract(&job, &answer),
        Err(error) => {
            tells_little(*error, &path);
        }
    }
}

fn fits_the_contract(job: &Job, answer: &Answer) {
    assert!((200..=299).contains(&answer.status), "a job with status {}", answer.status);
    assert!(!job.job_id.is_empty());
    let mut size = 0;
    every(job, 0, &mut |job| {
        let Job { job_id, job_type, status_text, entities, error_code, fail_reason, .. } = job;
        let optional = [error_code, fail_reason].into_iter().flatten();
        assert!(optional.clone().all(|text| !text.is_empty()));
        let texts = [job_id, job_type, status_text].into_iter().chain(optional);
        let texts = texts.chain(entities.iter().flat_map(|(key, value)| [key, value]));
        size += texts.map(String::len).sum::<usize>();
        assert_eq!(job.status, crate::job::Status::from_text(status_text));
    });
    // A byte that is no UTF-8 becomes a character of three, and the id may be the one asked for.
    assert!(size <= 3 * answer.body.len() + "asked".len(), "the texts have grown to {size}");
    let message = grpc::fuzzing::message(job);
    let message = message.as_ref().map(|it| (it, v1::Job::decode(&*it.encode_to_vec())));
    assert!(message.is_none_or(|(sent, got)| got.as_ref() == Ok(sent)));
    agrees_with_another_reader(job, answer);
}

fn every(job: &Job, depth: usize, look: &mut impl FnMut(&Job)) {
    assert!(depth <= MAX_DEPTH);
    look(job);
    job.sub_jobs.iter().for_each(|sub| every(sub, depth + 1, look));
}

/// A text is the same if it is read in the usual way, all at once.
fn agrees_with_another_reader(job: &Job, answer: &Answer) {
    let Ok(Value::Object(whole)) = serde_json::from_slice(&answer.body) else {
        return;
    };
    let text = |key| whole.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    for (key, read) in [
        ("job_id", Some(&job.job_id)),
        ("job_type", Some(&job.job_type)),
        ("status", Some(&job.status_text)),
        ("error_code", job.error_code.as_ref()),
        ("fail_reason", job.fail_reason.as_ref()),
    ] {
        assert!(text(key).is_none_or(|text| Some(text) == read.map(String::as_str)), "{key}");
    }
    for (key, value) in whole.get("entities").and_then(Value::as_object).into_iter().flatten() {
        let read = job.entities.get(key);
        assert!(read.is_some() || key == "sub_jobs", "the entity {key:?} is lost");
        assert!(value.as_str().is_none_or(|text| read.is_some_and(|read| read == text)), "{key}");
    }
}

/// Returns what the caller gets to read.
pub(super) fn tells_little(error: FetchError, path: &JobPath) -> Status {
    let [max_message, max_word, max_excerpt] = MAX_TEXTS;
    let answer = error.answer.as_ref();
    let words = answer.into_iter().flat_map(|it| [&it.code, &it.request_id]).flatten();
    for word in words {
        assert!((1..=max_word).contains(&word.len()), "{word}");
        assert!(word.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{word:?}");
        assert!(!has_address(word), "{word}");
    }
    if let Some(message) = answer.and_then(|it| it.message.as_ref()) {
        assert!((1..=max_message).contains(&message.len()), "{message}");
        assert!(!message.contains(char::is_control) && !has_address(message), "{message:?}");
    }
    assert!(error.retry_after.is_none_or(|it| !it.is_zero() && it <= MAX_RETRY_AFTER));
    // An excerpt stands there in quotes, in which characters that can't be seen are escaped.
    assert!(error.detail.len() <= max_message.max(4 * max_excerpt) + 128, "{}", error.detail);
    let status = Status::from(grpc::Error::Upstream { error: Arc::new(error), path: path.clone() });
    let headers = status.clone().into_http::<()>().into_parts().0.headers;
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(size <= MAX_TRAILERS, "{size} bytes of {headers:?}");
    assert_ne!(status.code(), tonic::Code::Ok);
    status
}

/// Whether a text has a URL in it, however JSON may escape its slashes.
fn has_address(text: &str) -> bool {
    text.replace('\\', "").contains("://")
}
