//! A success body read as a [`Job`], whatever odd shape its fields have.

use crate::job::{Job, JobPath, MAX_DEPTH, Status};

use super::{
    json::{self, Object, Raw, Type},
    oddity::{Oddities, Oddity},
    time,
};

/// The most jobs, sub jobs included, in one answer. `{},` costs three bytes of JSON and some
/// hundred of memory; this bounds what 4 MiB can blow up to.
pub(super) const MAX_JOBS: usize = 32_768;

/// Why a body is no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoJob {
    #[error("it has no status")]
    NoStatus,
    #[error("its sub jobs are more than {MAX_DEPTH} levels deep")]
    TooDeep,
    #[error("it has more than {MAX_JOBS} sub jobs")]
    TooManyJobs,
}

/// Reads the job that was asked for.
pub(super) fn job(body: Object<'_>, path: &JobPath, oddities: &mut Oddities) -> Result<Job, NoJob> {
    if !body.contains("status") {
        return Err(NoJob::NoStatus);
    }
    let mut job = Reader { oddities, jobs: 0 }.job(body, 0)?;
    if job.job_id.is_empty() {
        oddities.saw(Oddity::JobIdMissing);
        path.job_id().clone_into(&mut job.job_id);
    }
    Ok(job)
}

struct Reader<'o> {
    oddities: &'o mut Oddities,
    jobs: usize,
}

// === impl Reader ===

impl Reader<'_> {
    fn job(&mut self, fields: Object<'_>, depth: usize) -> Result<Job, NoJob> {
        self.jobs += 1;
        if depth > MAX_DEPTH {
            return Err(NoJob::TooDeep);
        }
        if self.jobs > MAX_JOBS {
            return Err(NoJob::TooManyJobs);
        }
        let mut job = Job::default();
        let mut entities = None;
        let mut nested = None;
        for (key, value) in fields.into_fields() {
            match &*key {
                "job_id" => job.job_id = self.word(value),
                "job_type" => job.job_type = self.word(value),
                "status" => job.status_text = self.word(value),
                "begin_time" => job.begin_time = self.time(value),
                "end_time" => job.end_time = self.time(value),
                "error_code" => job.error_code = Some(self.word(value)).filter(|s| !s.is_empty()),
                "fail_reason" => job.fail_reason = Some(self.word(value)).filter(|s| !s.is_empty()),
                "entities" => entities = Some(value),
                "sub_jobs" => nested = Some(value),
                _ => {}
            }
        }
        job.status = Status::from_text(&job.status_text);
        if job.status == Status::Unspecified {
            self.oddities.saw(Oddity::StatusUnknown);
        }
        if let Some(nested) = nested {
            job.sub_jobs = self.sub_jobs(nested, depth + 1)?;
        }
        if let Some(entities) = entities {
            self.entities(entities, &mut job, depth)?;
        }
        Ok(job)
    }

    /// A field that should be text.
    fn word(&mut self, raw: Raw<'_>) -> String {
        if !matches!(json::type_of(raw), Type::String | Type::Null) {
            self.oddities.saw(Oddity::FieldNotText);
        }
        json::text(raw).into_owned()
    }

    fn time(&mut self, raw: Raw<'_>) -> Option<jiff::Timestamp> {
        let text = json::text(raw);
        let time = time::parse(&text);
        if time.is_none() && !text.is_empty() {
            self.oddities.saw(Oddity::TimeUnreadable);
        }
        time
    }

    fn sub_jobs(&mut self, raw: Raw<'_>, depth: usize) -> Result<Vec<Job>, NoJob> {
        match json::type_of(raw) {
            Type::Null => return Ok(Vec::new()),
            Type::List => {}
            Type::String if json::text(raw).is_empty() => return Ok(Vec::new()),
            // One sub job that nobody put into a list.
            Type::Object => {
                self.oddities.saw(Oddity::SubJobsNotList);
                return Ok(vec![self.sub_job(raw, depth)?.unwrap_or_default()]);
            }
            Type::String | Type::Number | Type::Bool => {
                self.oddities.saw(Oddity::SubJobsNotList);
                return Ok(Vec::new());
            }
        }
        let elements = json::list(raw).unwrap_or_default();
        elements.into_iter().filter_map(|one| self.sub_job(one, depth).transpose()).collect()
    }

    fn sub_job(&mut self, raw: Raw<'_>, depth: usize) -> Result<Option<Job>, NoJob> {
        let Some(fields) = Object::of(raw) else {
            self.oddities.saw(Oddity::SubJobNotObject);
            return Ok(None);
        };
        self.job(fields, depth).map(Some)
    }

    fn entities(&mut self, raw: Raw<'_>, job: &mut Job, depth: usize) -> Result<(), NoJob> {
        let Some(fields) = Object::of(raw) else {
            let text = json::text(raw);
            if !text.is_empty() && text != "[]" {
                self.oddities.saw(Oddity::EntitiesNotObject);
            }
            return Ok(());
        };
        for (key, value) in fields.into_fields() {
            let kind = json::type_of(value);
            // Sibling services nest the sub jobs here.
            if key == "sub_jobs" && job.sub_jobs.is_empty() && may_be_jobs(value) {
                self.oddities.saw(Oddity::SubJobsInEntities);
                job.sub_jobs = self.sub_jobs(value, depth + 1)?;
                continue;
            }
            if kind != Type::String {
                self.oddities.saw(Oddity::EntityNotText);
            }
            job.entities.insert(key.into_owned(), json::text(value).into_owned());
        }
        Ok(())
    }
}

/// Whether a value is a list of jobs, or of nothing. A list of ids, say, is just another entity.
fn may_be_jobs(raw: Raw<'_>) -> bool {
    let is_object = |one: &Raw<'_>| json::type_of(one) == Type::Object;
    json::list(raw).is_some_and(|list| list.is_empty() || list.iter().any(is_object))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
