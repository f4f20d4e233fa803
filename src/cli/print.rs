//! Writing to the terminal: colour only where it belongs, and no control characters of others.

use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};

/// When colour is used.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// Writes to standard output. A reader who has gone away is no error.
pub(super) fn out(text: &str, color: Color) -> io::Result<()> {
    let mut stdout = AutoStream::new(io::stdout(), color.into()).lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes an error message to standard error. If that fails, there is nowhere left to say so.
pub(super) fn error(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{RED}error:{RESET} {text}");
}

pub(super) const BOLD: &str = "\x1b[1m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const RED: &str = "\x1b[31m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const RESET: &str = "\x1b[0m";

/// Text of others with control characters made visible, so that it can't steer the terminal.
pub(super) fn plain(text: &str) -> String {
    let visible = |c: char| match c {
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => c.escape_default().to_string(),
        // Marks that turn the direction of writing.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            c.escape_unicode().to_string()
        }
        _ => c.to_string(),
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        for (text, expected) in [
            ("plain ü 备份", "plain ü 备份"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a\r\nb\t", "a\\r\\nb\\t"),
            ("a\u{9b}b", "a\\u{9b}b"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
