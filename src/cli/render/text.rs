//! Foreign text made harmless, and the colours in use.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const ODD: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const UNDER_WAY: Style = AnsiColor::Cyan.on_default().bold();

/// Text of others, shown on one line with whatever could steer a terminal spelled out.
pub(super) struct Plain<'a>(pub(super) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                _ if steers(c) => write!(f, "{}", c.escape_unicode())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Control characters, and those that turn the direction of text or end a line in Unicode's way:
/// with them an answer can look like another one.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text() {
        let cases = [
            ("plain, caf\u{e9}, \u{5907}\u{4efd}", "plain, caf\u{e9}, \u{5907}\u{4efd}"),
            ("back\\slash", "back\\slash"),
            ("red \u{1b}[31m", "red \\u{1b}[31m"),
            ("csi \u{9b}2J", "csi \\u{9b}2J"),
            ("bell\u{7} null\0 del\u{7f}", "bell\\u{7} null\\u{0} del\\u{7f}"),
            ("two\r\nlines\tand", "two\\r\\nlines\\tand"),
            ("\u{202e}txet", "\\u{202e}txet"),
            ("a\u{2028}b\u{2066}c", "a\\u{2028}b\\u{2066}c"),
        ];
        for (text, shown) in cases {
            assert_eq!(Plain(text).to_string(), shown);
        }
    }
}
