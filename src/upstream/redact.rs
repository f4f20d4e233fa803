//! The upstream's text made fit for callers.

use super::token::Token;

/// The most bytes of the upstream's message that are passed on.
pub(super) const MAX_MESSAGE: usize = 512;

/// The most bytes of a code or request id that are passed on.
pub(super) const MAX_WORD: usize = 128;

/// A message on one line, without addresses or the caller's token, of at most [`MAX_MESSAGE`]
/// bytes.
pub(super) fn message(text: &str, token: &Token) -> Option<String> {
    // Before the cut, lest half a token be left over.
    let text = token.redact(text);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    let line = words.map(without_url).collect::<Vec<_>>().join(" ");
    Some(cut(&line, MAX_MESSAGE).to_owned()).filter(|line| !line.is_empty())
}

/// A code or id: visible ASCII of at most [`MAX_WORD`] bytes, other characters as `?`.
pub(super) fn word(text: &str, token: &Token) -> Option<String> {
    let text = token.redact(text.trim());
    let text: String =
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    Some(cut(&text, MAX_WORD).to_owned()).filter(|text| !text.is_empty())
}

/// A word with everything from a URL's scheme on taken out.
fn without_url(word: &str) -> String {
    let Some(separator) = word.find("://") else {
        return word.to_owned();
    };
    let scheme = word[..separator].bytes().rev().take_while(u8::is_ascii_alphanumeric).count();
    format!("{}[url]", &word[..separator - scheme])
}

fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_must_not_see_is_taken_out() {
        let token = Token::parse(b"gAAAA-secret").unwrap();
        for (text, expected) in [
            ("query job fail", Some("query job fail")),
            ("  two\r\n lines\u{1b}[31m ", Some("two lines [31m")),
            ("see https://10.0.0.1:8080/v1/x?y=z now", Some("see [url] now")),
            ("uri='http://iam/v3'", Some("uri='[url]")),
            ("decrypt token fail: gAAAA-secret.", Some("decrypt token fail: [token].")),
            ("", None),
            (" \n ", None),
        ] {
            assert_eq!(message(text, &token).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let token = Token::parse(b"t0ken").unwrap();
        let text = "ü".repeat(600);
        assert_eq!(message(&text, &token).unwrap().len(), 512);
        assert_eq!(message(&format!("a{text}"), &token).unwrap().len(), 511);
        let late = format!("{}{}", "a".repeat(510), "t0ken");
        assert!(message(&late, &token).unwrap().ends_with("a[t"));
        assert_eq!(word(&"x".repeat(200), &token).unwrap().len(), 128);
        assert_eq!(word("a\tbü", &token).as_deref(), Some("a?b?"));
    }
}
