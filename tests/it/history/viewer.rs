//! Somebody who watches a job, and writes down what he is told.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;
use jobgate::{
    job::JobPath,
    upstream::{Credential, Trace},
    watch::{End, Event, Refusal, Watches},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::world::{View, World};

/// Somebody who watches a job.
pub(super) struct Viewer {
    rng: Rng,
    job: String,
    credential: String,
    token: Credential,
    comes: Duration,
    habit: Habit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Takes everything at once, and comes back with the resume token while that helps.
    Good,
    /// Takes long between two events.
    Slow,
    /// Leaves at some time.
    Leaves,
    /// Comes with a deadline.
    Hurried,
}

/// One watch, from its call to its end.
pub(super) struct History {
    pub(super) job: String,
    pub(super) credential: String,
    /// The state that the resume token stands for.
    pub(super) resumed: Option<View>,
    pub(super) opened: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) prompt: bool,
    pub(super) told: Vec<Told>,
    pub(super) outcome: Outcome,
    pub(super) ended: Instant,
}

/// Something that was told.
pub(super) struct Told {
    pub(super) when: Instant,
    pub(super) event: Event<View>,
    /// How many states the upstream had given by then.
    pub(super) answers: usize,
}

/// How a watch came to its end.
#[derive(Debug)]
pub(super) enum Outcome {
    Refused(Refusal),
    Ended(End),
    Drained,
    Left,
}

// === impl Viewer ===

impl Viewer {
    pub(super) fn new(rng: &mut Rng, world: &World, coming: Duration) -> Self {
        let mut rng = rng.fork();
        let (credential, token) = world.credential(&mut rng);
        let habits = [Habit::Good, Habit::Good, Habit::Slow, Habit::Leaves, Habit::Hurried];
        Self {
            job: world.job(&mut rng),
            credential,
            token,
            comes: coming.mul_f64(rng.f64()),
            habit: rng.choice(habits).unwrap(),
            rng,
        }
    }

    /// Comes, watches and goes; the histories of its watches in a row.
    pub(super) async fn live(
        mut self,
        watches: Watches<World, View>,
        world: World,
    ) -> Vec<History> {
        sleep(self.comes).await;
        let mut histories: Vec<History> = Vec::new();
        while histories.len() < 10 {
            let last = histories.last();
            let resumed = last.and_then(|last| last.last_seen().cloned());
            let history = self.watch(&watches, &world, resumed).await;
            let again = match &history.outcome {
                Outcome::Refused(Refusal::Failed(error)) => !error.is_lasting(),
                Outcome::Refused(Refusal::Overloaded)
                | Outcome::Ended(End::Expired | End::OutOfPatience(_)) => true,
                Outcome::Refused(_) | Outcome::Ended(_) | Outcome::Drained => false,
                Outcome::Left => self.rng.bool(),
            };
            histories.push(history);
            if !again {
                break;
            }
            sleep(Duration::from_millis(self.rng.u64(..10_000))).await;
        }
        histories
    }

    async fn watch(
        &mut self,
        watches: &Watches<World, View>,
        world: &World,
        resumed: Option<View>,
    ) -> History {
        let path = JobPath::parse("p", &self.job).unwrap();
        let opened = Instant::now();
        let mut lot = |habit, most| {
            (self.habit == habit).then(|| Duration::from_millis(self.rng.u64(1..most)))
        };
        let deadline = lot(Habit::Hurried, 200_000).map(|after| opened + after);
        let leaves = lot(Habit::Leaves, 100_000);
        let mut history = History {
            job: self.job.clone(),
            credential: self.credential.clone(),
            resumed,
            opened,
            deadline,
            prompt: self.habit != Habit::Slow,
            told: Vec::new(),
            outcome: Outcome::Left,
            ended: opened,
        };
        let watch = async {
            let trace = Arc::<Trace>::default();
            let open = watches.open(&path, &self.token, &trace, deadline);
            // As the service does it.
            let limit = deadline.unwrap_or(opened + Duration::from_secs(30));
            let Ok((result, _)) = timeout_at(limit, open).await else {
                return Outcome::Ended(End::DeadlineExceeded);
            };
            let mut watcher = match result {
                Ok(watcher) => watcher,
                Err(Refusal::Draining) => return Outcome::Drained,
                Err(refusal) => return Outcome::Refused(refusal),
            };
            let resumed = history.resumed.clone();
            watcher.skip(|view| resumed.as_ref() == Some(view));
            loop {
                match watcher.next().await {
                    Ok(event) => {
                        let (when, answers) = (Instant::now(), world.answers());
                        history.told.push(Told { when, event, answers });
                    }
                    Err(End::Draining) => return Outcome::Drained,
                    Err(end) => return Outcome::Ended(end),
                }
                if self.habit == Habit::Slow {
                    sleep(Duration::from_millis(self.rng.u64(..40_000))).await;
                }
            }
        };
        let outcome = match leaves {
            Some(after) => timeout(after, watch).await.unwrap_or(Outcome::Left),
            None => watch.await,
        };
        History { outcome, ended: Instant::now(), ..history }
    }
}

// === impl History ===

impl History {
    /// The last state that was told, here or in an earlier watch.
    pub(super) fn last_seen(&self) -> Option<&View> {
        self.states().last().map(|(view, ..)| view).or(self.resumed.as_ref())
    }

    /// The states that were told.
    pub(super) fn states(&self) -> impl Iterator<Item = (&View, Timestamp, &Told)> {
        self.told.iter().filter_map(|told| match &told.event {
            Event::Changed { view, observed } => Some((view, *observed, told)),
            Event::Heartbeat { .. } => None,
        })
    }
}
