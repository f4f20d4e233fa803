//! The script: what jobs there are, how they live, and what goes wrong.

mod access;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use http::HeaderMap;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

pub(super) use self::access::{Accept, Keys, Metadata, Project, Session, Throttle, Tokens, User};
use super::faults::Fault;

const BUILTIN: &str = include_str!("builtin.toml");

/// What the simulator plays. The documentation of the keys is in `docs/simulator.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Added to every answer.
    #[serde(default, deserialize_with = "duration")]
    pub(super) latency: Duration,
    #[serde(default)]
    pub(super) tokens: Tokens,
    #[serde(default)]
    pub(super) keys: Keys,
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) throttle: Option<Throttle>,
    #[serde(default)]
    pub(super) start: Start,
    #[serde(default, rename = "job", deserialize_with = "jobs")]
    pub(super) jobs: Vec<KnownJob>,
    #[serde(default, rename = "fault")]
    pub(super) faults: Vec<Fault>,
}

/// A script that can't be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file can't be read.
    #[error("can't read the script {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The text is no script. The message shows the line and the key.
    #[error("{name}: {problem}")]
    Parse {
        /// Which script.
        name: String,
        /// What is wrong, and where, on several lines.
        problem: Box<toml::de::Error>,
    },
}

/// The lives of the jobs that calls start.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Start {
    pub(super) create: Life,
    pub(super) restore: Life,
    pub(super) delete: Life,
}

/// A job that is there from the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "JobTable")]
pub(super) struct KnownJob {
    pub(super) project: String,
    pub(super) id: String,
    pub(super) answer: Answer,
}

/// What is answered for a job.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// This body, with this HTTP status.
    Raw(u16, String),
    /// What it is at the time.
    Life(Box<Life>),
}

/// A job as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobTable {
    #[serde(deserialize_with = "segment")]
    project: String,
    #[serde(deserialize_with = "segment")]
    id: String,
    raw: Option<String>,
    #[serde(default, deserialize_with = "some_status")]
    http_status: Option<u16>,
    life: Option<Box<Life>>,
}

/// A job's type, phases and sub jobs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Life {
    #[serde(rename = "type")]
    pub(super) job_type: String,
    pub(super) id: Option<String>,
    pub(super) entities: BTreeMap<String, Value>,
    pub(super) begin_time: Option<String>,
    pub(super) end_time: Option<String>,
    #[serde(rename = "phase")]
    pub(super) phases: Vec<Phase>,
    #[serde(rename = "sub_job")]
    pub(super) sub_jobs: Vec<Life>,
    pub(super) sub_jobs_in: Place,
    pub(super) no_sub_jobs: Blank,
}

/// What a job is from some time on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Phase {
    /// Since the job began.
    #[serde(default, deserialize_with = "duration")]
    pub(super) after: Duration,
    pub(super) status: String,
    #[serde(default)]
    pub(super) entities: BTreeMap<String, Value>,
    pub(super) error_code: Option<String>,
    pub(super) fail_reason: Option<String>,
}

/// Where sub jobs stand in the answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    #[default]
    Top,
    Entities,
}

/// What stands in place of no sub jobs.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Blank {
    #[default]
    Absent,
    Null,
    Text,
    List,
}

impl TryFrom<JobTable> for KnownJob {
    type Error = &'static str;

    fn try_from(table: JobTable) -> Result<Self, &'static str> {
        let JobTable { project, id, raw, http_status, life } = table;
        let answer = match (raw, life) {
            (Some(_), Some(_)) => return Err("a job has either `raw` or `life`"),
            (Some(raw), None) => Answer::Raw(http_status.unwrap_or(200), raw),
            (None, _) if http_status.is_some() => return Err("`http_status` belongs to `raw`"),
            (None, life) => Answer::Life(life.unwrap_or_default()),
        };
        Ok(Self { project, id, answer })
    }
}

fn jobs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KnownJob>, D::Error> {
    let jobs = Vec::<KnownJob>::deserialize(deserializer)?;
    let mut seen = HashSet::new();
    match jobs.iter().find(|job| !seen.insert((&job.project, &job.id))) {
        Some(twice) => Err(D::Error::custom(format!(
            "the job with id {:?} is there twice in project {:?}",
            twice.id, twice.project
        ))),
        None => Ok(jobs),
    }
}

/// One segment of a URL's path.
fn segment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if text.is_empty() || !text.bytes().all(fits) {
        let problem = "can't stand in a URL's path: letters, digits and -_.~ can";
        return Err(D::Error::custom(format!("{text:?} {problem}")));
    }
    Ok(text)
}

fn some_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    status(deserializer).map(Some)
}

/// The HTTP status of a final answer.
pub(super) fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let status = u16::deserialize(deserializer)?;
    if !(200..=599).contains(&status) {
        return Err(D::Error::custom(format!("{status} is no HTTP status from 200 to 599")));
    }
    Ok(status)
}

/// HTTP headers by name.
pub(super) fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    let headers = HashMap::<String, String>::deserialize(deserializer)?;
    HeaderMap::try_from(&headers).map_err(|error| D::Error::custom(format!("{error} in a header")))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no duration like \"250ms\" or \"2s\""))
        })
}

// === impl Script ===

impl Script {
    /// The script for those who bring none.
    pub fn builtin() -> Result<Self, ScriptError> {
        Self::parse("the built-in script", BUILTIN)
    }

    /// Reads a script; `name` is for error messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        toml::from_str(text).map_err(|problem| ScriptError::Parse {
            name: name.to_owned(),
            problem: Box::new(problem),
        })
    }

    /// Reads a script from a file.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_script_can_be_played() {
        Script::builtin().unwrap();
    }

    #[test]
    fn an_error_names_the_file_the_line_and_the_key() {
        for (text, line, key) in [
            ("\nlatencyy = \"1s\"\n", "line 2", "latencyy"),
            ("latency = 5\n", "line 1", "latency"),
            ("latency = \"five\"\n", "line 1", "latency"),
            ("[tokens]\naccept = \"none\"\n", "line 2", "accept"),
            ("[tokens]\nusers = { ann = 5 }\n", "line 2", "text or a table"),
            ("[tokens.users]\n\nann = { id = \"i\" }\n", "line 3", "password"),
            ("[tokens.projects]\np = { id = \"i\", name = \"n\" }\n", "line 2", "name"),
            ("[keys]\nlock_after = -1\n", "line 2", "lock_after"),
            ("[metadata]\nsession = \"maybe\"\n", "line 2", "session"),
            (
                "[[job]]\nproject = \"p\"\nid = \"i\"\n[[job.life.phase]]\nafter = \"1s\"\n",
                "line 4",
                "status",
            ),
            ("[[fault]]\n\nshape = \"odd\"\n", "line 3", "shape"),
            ("[[fault]]\nstatus = 9999\n", "line 2", "status"),
            ("[[fault]]\nstatus = 100\n", "line 2", "status"),
            ("[[fault]]\n[fault.headers]\n\"a b\" = \"c\"\n", "line 2", "headers"),
            ("[[fault]]\n[fault.headers]\na = \"b\\n\"\n", "line 2", "headers"),
            ("[[job]]\nproject = \"p\"\nid = \"a/b\"\n", "line 3", "id"),
            (
                "[[job]]\nproject = \"p\"\nid = \"i\"\nraw = \"\"\nhttp_status = 99\n",
                "line 5",
                "http_status",
            ),
            ("[[job]]\nproject = \"p\"\nid = \"i\"\nhttp_status = 500\n", "line 1", "http_status"),
            (
                "[[job]]\nproject = \"p\"\nid = \"i\"\nraw = \"\"\n[job.life]\n",
                "line 1",
                "either `raw` or `life`",
            ),
            (
                "[[job]]\nproject = \"p\"\nid = \"i\"\n[[job]]\nproject = \"p\"\nid = \"i\"\n",
                "line 1",
                "\"i\" is there twice",
            ),
        ] {
            let error = Script::parse("my.toml", text).unwrap_err().to_string();
            assert!(error.starts_with("my.toml: "), "{error}");
            assert!(error.contains(line) && error.contains(key), "{error}");
        }
    }
}
