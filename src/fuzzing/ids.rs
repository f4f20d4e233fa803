//! Ids that are taken stay what they are in a URL, and what is wrong with others is said without
//! them.

use crate::job::{InvalidId, JobPath, MAX_ID_LEN};

/// A project's id, a line break, a job's id.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (project_id, job_id) = text.split_once('\n').unwrap_or((text, "j"));
    match JobPath::parse(project_id, job_id) {
        Ok(path) => {
            assert_eq!((path.project_id(), path.job_id()), (project_id, job_id));
            is_safe_in_a_url(&path);
            let printed = format!("{path:?}");
            let again = printed.split_once('/').map(|(project, job)| JobPath::parse(project, job));
            assert!(again == Some(Ok(path)), "{printed}");
        }
        Err(invalid) => {
            let InvalidId { field, .. } = invalid;
            let wrong = JobPath::parse("p", job_id).is_err();
            let wrong = [("project_id", true), ("job_id", wrong)].contains(&(field, true));
            assert!(wrong && invalid.to_string().len() <= MAX_ID_LEN);
        }
    }
}

fn is_safe_in_a_url(path: &JobPath) {
    let target = format!("/v1/{}/jobs/{}", path.project_id(), path.job_id());
    let url = reqwest::Url::parse(&format!("https://example.com{target}"));
    assert!(url.is_ok_and(|url| {
        let segments = ["v1", path.project_id(), "jobs", path.job_id()];
        url.path() == target
            && url.host_str() == Some("example.com")
            && url.path_segments().is_some_and(|it| it.eq(segments))
            && (url.query(), url.fragment()) == (None, None)
    }));
    assert!(target.parse::<http::Uri>().is_ok_and(|uri| uri == *target));
}
