//! Where text goes: stdout and stderr, with or without colour.

use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};
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
        let mut out = AutoStream::new(io::stdout().lock(), self.choice);
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
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
