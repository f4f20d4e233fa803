//! How a watch is shown: live on a terminal, as lines elsewhere, or as JSON.

use std::{io, time::Duration};

use jiff::Timestamp;
use jobgate::proto::v1::{Heartbeat, Job, WatchJobResponse, watch_job_response::Event};

use crate::cli::{console::Console, error::Error, render, target::Output};

/// Shows a watch.
pub(crate) struct Screen {
    console: Console,
    form: Form,
    /// The last state, and when the upstream said so.
    job: Option<(Job, Option<Timestamp>)>,
    /// What is wrong at present.
    trouble: Option<String>,
}

enum Form {
    /// A tree that is replaced, of so many lines at present.
    Live { lines: usize },
    /// A line for each change.
    Lines,
    /// A line of JSON for each event.
    Json,
}

impl Screen {
    pub(crate) fn new(console: Console, output: Output) -> Self {
        let form = match output {
            Output::Json => Form::Json,
            Output::Tree if Console::is_live() => Form::Live { lines: 0 },
            Output::Tree => Form::Lines,
        };
        Self { console, form, job: None, trouble: None }
    }

    pub(crate) fn event(&mut self, response: &WatchJobResponse) -> io::Result<()> {
        let observed =
            response.observe_time.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
        let trouble = match &response.event {
            Some(Event::Heartbeat(Heartbeat { upstream_error: Some(error) })) => {
                let error = render::as_grpc(error);
                Some(format!("the upstream: {}", render::upstream_trouble(&error)))
            }
            _ => None,
        };
        let changed = match &response.event {
            Some(Event::Job(job)) => {
                self.job = Some((job.clone(), observed));
                true
            }
            _ => false,
        };
        if let Some((_, last)) = &mut self.job
            && observed.is_some()
        {
            *last = observed;
        }
        let was_in_trouble = std::mem::replace(&mut self.trouble, trouble);
        match self.form {
            Form::Live { .. } => self.draw(false),
            Form::Json => {
                let line = render::event(response).map_err(io::Error::from)?;
                self.console.line(&line)
            }
            Form::Lines => {
                if self.trouble != was_in_trouble {
                    let text = self.trouble.as_deref().unwrap_or("the upstream answers again");
                    self.line(Timestamp::now(), text)?;
                }
                match &self.job {
                    Some((job, at)) if changed => {
                        self.line(at.unwrap_or_else(Timestamp::now), &render::summary(job))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Tells that the watch broke.
    pub(crate) fn lost(&mut self, error: &Error, wait: Duration) -> io::Result<()> {
        let wait =
            render::spelled(Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(0)));
        let why = match error {
            Error::Rpc(status) => render::upstream_trouble(status),
            other => other.to_string(),
        };
        let text = format!("the watch broke, watching again in {wait}: {why}");
        if let Form::Live { .. } = self.form {
            self.trouble = Some(text);
            return self.draw(false);
        }
        self.console.complain(&text);
        Ok(())
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) -> io::Result<()> {
        match self.form {
            Form::Live { .. } => self.draw(false),
            Form::Lines | Form::Json => Ok(()),
        }
    }

    /// The watch is over.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self.form {
            Form::Live { .. } => self.draw(true),
            Form::Lines | Form::Json => Ok(()),
        }
    }

    fn line(&self, at: Timestamp, text: &str) -> io::Result<()> {
        self.console.line(&format!("{at:.0}  {text}"))
    }

    fn draw(&mut self, last: bool) -> io::Result<()> {
        let (Form::Live { lines }, Some((job, observed))) = (&mut self.form, &self.job) else {
            return Ok(());
        };
        let now = Timestamp::now();
        let text = if last {
            render::tree(job, now)
        } else {
            let tree = render::sketch(job, now);
            let foot = footer(*observed, now, self.trouble.as_deref());
            fitted(&tree, &foot, Console::height())
        };
        let before = std::mem::replace(lines, text.lines().count());
        self.console.replace(before, &text)
    }
}

fn footer(observed: Option<Timestamp>, now: Timestamp, trouble: Option<&str>) -> String {
    let seen = observed.map_or_else(String::new, |at| {
        let age = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
        format!("seen {at:.0}, {} ago", render::spelled(Duration::from_secs(age)))
    });
    match trouble {
        Some(trouble) => format!("{seen}\n{trouble}"),
        None => seen,
    }
}

/// A tree and its footer in so many lines, one of which is the cursor's.
fn fitted(tree: &str, foot: &str, height: usize) -> String {
    let room = height.saturating_sub(2 + foot.lines().count()).max(1);
    let all = tree.lines().count();
    if all <= room {
        return format!("{tree}\n\n{foot}");
    }
    let shown: Vec<_> = tree.lines().take(room).collect();
    format!("{}\n… {} more\n{foot}", shown.join("\n"), all - room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_is_too_high_is_cut_and_says_so() {
        let tree = "a\nb\nc\nd";
        assert_eq!(fitted(tree, "foot", 24), "a\nb\nc\nd\n\nfoot");
        assert_eq!(fitted(tree, "foot", 6), "a\nb\nc\n… 1 more\nfoot");
        assert_eq!(fitted(tree, "foot\ntrouble", 6), "a\nb\n… 2 more\nfoot\ntrouble");
        assert_eq!(fitted(tree, "foot", 0), "a\n… 3 more\nfoot");
        for height in 5..10 {
            assert!(fitted(tree, "foot", height).lines().count() < height);
        }
    }

    #[test]
    fn the_footer_tells_the_age_of_the_last_word() {
        let at: Timestamp = "2016-01-28T16:14:09.466Z".parse().unwrap();
        let now: Timestamp = "2016-01-28T16:15:11Z".parse().unwrap();
        assert_eq!(footer(Some(at), now, None), "seen 2016-01-28T16:14:09Z, 1m 1s ago");
        assert_eq!(footer(Some(now), at, Some("t")), "seen 2016-01-28T16:15:11Z, 0s ago\nt");
        assert_eq!(footer(None, now, None), "");
    }
}
