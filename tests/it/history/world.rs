//! The upstream of a history: jobs that go from step to step, and all that can go wrong.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use fastrand::Rng;
use jiff::Timestamp;
use jobgate::{
    job::{Job, JobPath, Status},
    upstream::{self, Answer, ErrorKind, FetchError, Fetched, Token, Trace},
    watch::Source,
};
use tokio::time::{Instant, sleep};

/// What a watcher is given: the step, and whose credential it was fetched with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) step: usize,
    pub(super) terminal: bool,
    pub(super) credential: String,
    pub(super) job: String,
}

#[expect(clippy::unnecessary_wraps, reason = "as the watches want it")]
pub(super) fn view(job: &Job) -> Option<View> {
    Some(View {
        step: job.entities["step"].parse().unwrap(),
        terminal: job.status.is_terminal(),
        credential: job.entities["credential"].clone(),
        job: job.job_id.clone(),
    })
}

/// The upstream. Cheap to clone.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    start: Instant,
    jobs: BTreeMap<String, Life>,
    credentials: BTreeMap<String, Credential>,
    outages: Vec<(Duration, Duration)>,
    polls: usize,
    answers: Vec<Answered>,
    /// How many polls are under way, by job and credential.
    under_way: HashMap<(String, String), usize>,
    drained: Option<Instant>,
}

/// The times at which a job takes a step, and how it ends.
struct Life {
    steps: Vec<Duration>,
    end: Option<Status>,
}

struct Credential {
    token: upstream::Credential,
    /// From then on it is rejected.
    revoked: Option<Duration>,
    /// Jobs it may not see.
    forbidden: Vec<String>,
    paused: Option<(Instant, Arc<FetchError>)>,
}

/// A state that the upstream gave.
pub(super) struct Answered {
    pub(super) job: String,
    pub(super) credential: String,
    pub(super) step: usize,
    pub(super) at: Timestamp,
}

/// A poll under way. Dropped when it is over or given up.
struct UnderWay {
    world: World,
    key: (String, String),
}

// === impl World ===

impl World {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut rng = rng.fork();
        let jobs: BTreeMap<_, _> = (0..rng.usize(1..5))
            .map(|number| {
                let mut steps = vec![Duration::ZERO];
                for _ in 0..rng.usize(..12) {
                    let pause = Duration::from_millis(rng.u64(1..60_000));
                    steps.push(steps[steps.len() - 1] + pause);
                }
                let end = match rng.u8(..4) {
                    0 => None,
                    1 => Some(Status::Fail),
                    _ => Some(Status::Success),
                };
                (format!("job-{number}"), Life { steps, end })
            })
            .collect();
        let credentials = (0..rng.usize(1..4))
            .map(|number| {
                let name = format!("credential-{number}");
                let token = upstream::Credential::from(Token::parse(name.as_bytes()).unwrap());
                let revoked = (rng.u8(..5) == 0).then(|| Duration::from_secs(rng.u64(1..240)));
                let forbidden = jobs.keys().filter(|_| rng.u8(..8) == 0).cloned().collect();
                (name, Credential { token, revoked, forbidden, paused: None })
            })
            .collect();
        let outages = (0..rng.usize(..4))
            .map(|_| {
                let from = Duration::from_secs(rng.u64(..300));
                (from, from + Duration::from_secs(rng.u64(1..120)))
            })
            .collect();
        Self(Arc::new(Mutex::new(State {
            rng,
            start: Instant::now(),
            jobs,
            credentials,
            outages,
            polls: 0,
            answers: Vec::new(),
            under_way: HashMap::new(),
            drained: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn job(&self, rng: &mut Rng) -> String {
        rng.choice(self.state().jobs.keys()).unwrap().clone()
    }

    pub(super) fn credential(&self, rng: &mut Rng) -> (String, upstream::Credential) {
        let state = self.state();
        let (name, credential) = rng.choice(state.credentials.iter()).unwrap();
        (name.clone(), credential.token.clone())
    }

    pub(super) fn drained(&self) {
        self.state().drained = Some(Instant::now());
    }

    pub(super) fn polls(&self) -> usize {
        self.state().polls
    }

    pub(super) fn under_way(&self) -> usize {
        self.state().under_way.values().sum()
    }

    /// How many states the upstream has given.
    pub(super) fn answers(&self) -> usize {
        self.state().answers.len()
    }

    /// The step of the latest of the first `count` answers for a job and credential, and its time.
    pub(super) fn latest(
        &self,
        job: &str,
        credential: &str,
        count: usize,
    ) -> Option<(usize, Timestamp)> {
        let state = self.state();
        let mut answers = state.answers[..count].iter().rev();
        let answer = answers.find(|it| it.job == job && it.credential == credential)?;
        Some((answer.step, answer.at))
    }

    /// Whether the upstream gave this step to this credential.
    pub(super) fn gave(&self, view: &View) -> bool {
        self.state().answers.iter().any(|it| {
            it.job == view.job && it.credential == view.credential && it.step == view.step
        })
    }
}

impl Source for World {
    async fn fetch(&self, path: &JobPath, token: &upstream::Credential, _: &Arc<Trace>) -> Fetched {
        let (under_way, latency) = {
            let mut state = self.state();
            let under_way = state.begin(self, path, token);
            (under_way, state.latency())
        };
        sleep(latency).await;
        let fetched = self.state().answer(&under_way.key, token);
        drop(under_way);
        fetched
    }

    fn paused(&self, token: &upstream::Credential) -> Option<Arc<FetchError>> {
        let mut state = self.state();
        let credential = state.credential(token);
        let (until, error) = credential.paused.clone()?;
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        Some(FetchError::as_of_now(&error, left))
    }
}

// === impl State ===

impl State {
    fn credential(&mut self, token: &upstream::Credential) -> &mut Credential {
        self.credentials.values_mut().find(|it| it.token == *token).unwrap()
    }

    fn begin(&mut self, world: &World, path: &JobPath, token: &upstream::Credential) -> UnderWay {
        let now = Instant::now();
        self.polls += 1;
        assert!(self.drained.is_none_or(|at| at == now), "a poll after the drain");
        let paused = self.credential(token).paused.as_ref().map(|(until, _)| *until);
        assert!(paused.is_none_or(|until| until <= now), "a poll during a pause");
        let name = self.credentials.iter().find(|(_, it)| it.token == *token).unwrap().0;
        let key = (path.job_id().to_owned(), name.clone());
        let under_way = self.under_way.entry(key.clone()).or_default();
        *under_way += 1;
        assert_eq!(*under_way, 1, "two polls for the same at the same time");
        UnderWay { world: world.clone(), key }
    }

    fn latency(&mut self) -> Duration {
        match self.rng.u8(..10) {
            0 => Duration::from_millis(self.rng.u64(..12_000)),
            _ => Duration::from_millis(self.rng.u64(..200)),
        }
    }

    fn answer(&mut self, key: &(String, String), token: &upstream::Credential) -> Fetched {
        let elapsed = self.start.elapsed();
        let at = Timestamp::UNIX_EPOCH.checked_add(elapsed).unwrap();
        let fetched = |result: Result<Job, FetchError>| Fetched {
            result: result.map(Arc::new).map_err(Arc::new),
            attempts: 1,
            http_status: Some(200),
            request_id: None,
            took: Duration::ZERO,
            shared: false,
            at,
        };
        if let Some(error) = self.fault(key, token, elapsed) {
            return fetched(Err(error));
        }
        let (job, credential) = key;
        let life = &self.jobs[job];
        let step = life.steps.iter().filter(|at| **at <= elapsed).count() - 1;
        let last = step == life.steps.len() - 1;
        let status = life.end.filter(|_| last).unwrap_or(Status::Running);
        let (job, credential) = (job.clone(), credential.clone());
        self.answers.push(Answered { job: job.clone(), credential: credential.clone(), step, at });
        let entities =
            BTreeMap::from([("step".into(), step.to_string()), ("credential".into(), credential)]);
        fetched(Ok(Job { job_id: job, status, entities, ..Job::default() }))
    }

    fn fault(
        &mut self,
        (job, _): &(String, String),
        token: &upstream::Credential,
        elapsed: Duration,
    ) -> Option<FetchError> {
        let error = |kind, retry_after| FetchError {
            kind,
            answer: Some(Answer { http_status: 500, ..Answer::default() }),
            retry_after,
            detail: String::new(),
        };
        let outage = self.outages.iter().any(|(from, to)| (*from..*to).contains(&elapsed));
        let (kind, wait) = (self.rng.u8(..40), Duration::from_secs(self.rng.u64(..30)));
        let credential = self.credential(token);
        if credential.revoked.is_some_and(|at| at <= elapsed) {
            return Some(error(ErrorKind::CredentialsRejected, None));
        }
        if credential.forbidden.contains(job) {
            return Some(error(ErrorKind::PermissionDenied, None));
        }
        let fault = match kind {
            _ if outage => error(ErrorKind::Unavailable, None),
            0 => error(ErrorKind::Throttled, Some(wait)),
            1 => error(ErrorKind::Unreachable, None),
            2 => error(ErrorKind::MalformedResponse, None),
            3 if elapsed > Duration::from_mins(2) => error(ErrorKind::JobNotFound, None),
            _ => return None,
        };
        if fault.retry_after.is_some() {
            let until = Instant::now() + wait;
            if credential.paused.as_ref().is_none_or(|(paused, _)| *paused < until) {
                credential.paused = Some((until, Arc::new(fault.clone())));
            }
        }
        Some(fault)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.world.state();
        *state.under_way.get_mut(&self.key).unwrap() -= 1;
    }
}
