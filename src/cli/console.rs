//! Where text goes: stdout and stderr, with or without colour.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anstream::{AutoStream, ColorChoice, adapter::strip_str};
use clap::ValueEnum;

/// The values of `--color`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The two streams. Text comes with its colours and loses them here where they are not wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    choice: ColorChoice,
}

impl Console {
    pub(crate) fn new(color: Color) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { choice }
    }

    /// Writes a text and a line end to stdout. A reader that has seen enough is no error.
    pub(crate) fn print(self, text: &str) -> io::Result<()> {
        match self.line(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Writes one of many lines to stdout. A reader that has seen enough is an error: there is
    /// nobody to write the next one for.
    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        let mut out = AutoStream::new(io::stdout().lock(), self.choice);
        writeln!(out, "{text}").and_then(|()| out.flush())
    }

    /// Whether stdout is a terminal on which text can be replaced.
    pub(crate) fn is_live() -> bool {
        io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// How many lines the terminal shows.
    pub(crate) fn height() -> usize {
        terminal_size::terminal_size().map_or(24, |(_, rows)| rows.0.into())
    }

    /// Writes a text to a terminal in place of the last lines. A long line ends at the edge, lest
    /// the next replacement count wrongly.
    pub(crate) fn replace(self, lines: usize, text: &str) -> io::Result<()> {
        let colors =
            AutoStream::new(io::stdout(), self.choice).current_choice() != ColorChoice::Never;
        let text = if colors { text.to_owned() } else { strip_str(text).to_string() };
        let up = if lines > 0 { format!("\x1b[{lines}F") } else { String::new() };
        let mut out = io::stdout().lock();
        write!(out, "{up}\x1b[J\x1b[?7l{text}\n\x1b[?7h").and_then(|()| out.flush())
    }

    /// Whether text on stderr keeps its colours.
    pub(crate) fn colors_stderr(self) -> bool {
        AutoStream::new(io::stderr(), self.choice).current_choice() != ColorChoice::Never
    }

    /// Writes a text and a line end to stderr.
    pub(crate) fn complain(self, text: &str) {
        let mut out = AutoStream::new(io::stderr().lock(), self.choice);
        // When stderr is gone there is nobody left to tell; the exit code still says it.
        let _ = writeln!(out, "{text}");
    }
}
