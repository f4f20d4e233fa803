//! The upstream's text made fit for callers and for the log: short, on one line, without addresses
//! and without secrets.

use std::borrow::Cow;

use super::secret::Secret;

/// The most bytes of the upstream's message that are passed on.
pub(super) const MAX_MESSAGE: usize = 512;

/// The most bytes of a code or request id that are passed on.
pub(super) const MAX_WORD: usize = 128;

/// The most bytes of a body without a known shape that are kept for the log.
pub(super) const MAX_EXCERPT: usize = 256;

/// The most bytes of a text that are looked at. What is passed on comes from these.
const WINDOW: usize = 16 << 10;

/// How often a text may have been put into JSON inside JSON.
const MAX_ESCAPES: usize = 3;

/// How many spellings of secrets one text may have. In one with more, nothing is told.
const MAX_SPELLINGS: usize = 8;

/// A message on one line, without addresses or secrets, of at most [`MAX_MESSAGE`]
/// bytes.
pub(super) fn message(text: &str, secrets: &[Secret]) -> Option<String> {
    line(text, secrets, MAX_MESSAGE)
}

/// What a body begins with, for the log: a message of at most [`MAX_EXCERPT`] bytes.
pub(super) fn excerpt(text: &str, secrets: &[Secret]) -> String {
    line(text, secrets, MAX_EXCERPT).unwrap_or_default()
}

/// A code or id: visible ASCII of at most [`MAX_WORD`] bytes, other characters as `?`.
pub(super) fn word(text: &str, secrets: &[Secret]) -> Option<String> {
    let mut text = without_secrets(text.trim(), secrets);
    let fits = |c: char| c.is_ascii_graphic() || c == ' ';
    if !text.chars().all(fits) {
        text = text.chars().map(|c| if fits(c) { c } else { '?' }).collect();
    }
    let text = without_url(&text);
    Some(cut(&text, MAX_WORD).to_owned()).filter(|text| !text.is_empty())
}

fn line(text: &str, secrets: &[Secret], max: usize) -> Option<String> {
    // Before the cut, lest half a secret be left over.
    let text = without_secrets(text, secrets);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    let line = words.map(without_url).collect::<Vec<_>>().join(" ");
    Some(cut(&line, max).to_owned()).filter(|line| !line.is_empty())
}

/// The first piece of a text, with all secrets taken out however JSON may spell them.
fn without_secrets<'t>(text: &'t str, secrets: &[Secret]) -> Cow<'t, str> {
    let mut clean = redacted(Cow::Borrowed(text), secrets);
    // A secret may be there twice, and be spelled in two ways.
    for _ in 0..MAX_SPELLINGS {
        match unescaped_to_secrets(&clean, secrets) {
            Some(plain) => clean = redacted(Cow::Owned(plain), secrets),
            None => return cut_to(clean, WINDOW),
        }
    }
    Cow::Borrowed("")
}

/// The first piece of a text, with all secrets taken out that stand there letter by letter.
fn redacted<'t>(mut text: Cow<'t, str>, secrets: &[Secret]) -> Cow<'t, str> {
    for secret in secrets {
        text = match text {
            Cow::Borrowed(text) => secret.redact(text, 2 * WINDOW),
            Cow::Owned(text) => Cow::Owned(secret.redact(&text, 2 * WINDOW).into_owned()),
        };
    }
    cut_to(text, 2 * WINDOW)
}

/// A text with so many layers of JSON's escapes resolved that a secret is in it.
fn unescaped_to_secrets(text: &str, secrets: &[Secret]) -> Option<String> {
    let mut plain = Cow::Borrowed(text);
    for _ in 0..MAX_ESCAPES {
        if !plain.contains('\\') {
            break;
        }
        plain = Cow::Owned(unescaped(&plain));
        if secrets.iter().any(|secret| secret.is_in(&plain)) {
            return Some(plain.into_owned());
        }
    }
    None
}

/// A text with JSON's escapes resolved; what is no escape stays.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let (char, len) = match (utf16(after), after.chars().next()) {
            (Some(char), _) => (char, char.len_utf16() * r"u0000\".len() - 1),
            (None, Some(char @ ('/' | '"' | '\\'))) => (char, 1),
            (None, Some('n' | 'r' | 't' | 'b' | 'f')) => (' ', 1),
            (None, _) => ('\\', 0),
        };
        plain.push(char);
        rest = &after[len..];
    }
    plain + rest
}

/// The character of an escape `u0000`, or of two with a backslash between them.
fn utf16(text: &str) -> Option<char> {
    let unit = |text: &str| {
        let digits = text.strip_prefix('u')?.get(..4)?;
        // A sign is none.
        let digits = Some(digits).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let second = text.get(5..).and_then(|rest| unit(rest.strip_prefix('\\')?));
    char::decode_utf16([unit(text)?].into_iter().chain(second)).next()?.ok()
}

/// A word with everything from a URL's scheme on taken out.
fn without_url(word: &str) -> Cow<'_, str> {
    // In JSON inside JSON, the slashes may be escaped.
    let slashes = |after: &str| after.chars().filter(|c| *c != '\\').take(2).eq(['/', '/']);
    let Some((separator, _)) = word.match_indices(':').find(|(at, _)| slashes(&word[at + 1..]))
    else {
        return Cow::Borrowed(word);
    };
    let scheme = word[..separator].bytes().rev().take_while(u8::is_ascii_alphanumeric).count();
    Cow::Owned(format!("{}[url]", &word[..separator - scheme]))
}

fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn cut_to(text: Cow<'_, str>, max: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text, max)),
        Cow::Owned(mut text) => {
            text.truncate(text.floor_char_boundary(max));
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_must_not_see_is_taken_out() {
        let token = [Secret::new(b"gAAAA-secret")];
        for (text, expected) in [
            ("query job fail", Some("query job fail")),
            ("  two\r\n lines\u{1b}[31m ", Some("two lines [31m")),
            ("see https://10.0.0.1:8080/v1/x?y=z now", Some("see [url] now")),
            ("uri='http://iam/v3'", Some("uri='[url]")),
            (r#"{"uri":"http:\/\/iam\/v3"}"#, Some(r#"{"uri":"[url]"#)),
            (r"a:b:\\/\\/c", Some("a:[url]")),
            (r"C:\a/b", Some(r"C:\a/b")),
            ("decrypt token fail: gAAAA-secret.", Some("decrypt token fail: [token].")),
            ("", None),
            (" \n ", None),
        ] {
            assert_eq!(message(text, &token).as_deref(), expected, "{text}");
        }
        assert_eq!(word("req-http://10.0.0.1/x", &token).as_deref(), Some("req-[url]"));
    }

    #[test]
    fn a_token_is_found_however_json_spells_it() {
        let token = [Secret::new(b"MII/a+b=\"c\\d")];
        for text in [
            r#"x MII/a+b="c\d y"#,
            r#"{"t":"MII\/a+b=\"c\\d"}"#,
            r#"{"t":"MII\/a\u002bb\u003d\u0022c\u005Cd"}"#,
            r#"{"m":"{\"t\":\"MII\\/a\\u002bb=\\\"c\\\\d\"}"}"#,
            // In all of them at once.
            r#"MII/a+b="c\d and MII\/a+b=\"c\\d and MII\\\/a+b=\\\"c\\\\d"#,
        ] {
            let line = message(text, &token).unwrap();
            assert!(line.contains("[token]") && !line.contains("MII"), "{text}: {line}");
        }
        let emoji = [Secret::new("p\u{1f600}ss".as_bytes())];
        let line = message(r"no: p\ud83d\ude00ss", &emoji);
        assert_eq!(line.as_deref(), Some("no: [token]"));
        let bytes = [Secret::new(b"caf\xe9-secret")];
        let body = String::from_utf8_lossy(b"no: caf\xe9-secret").into_owned();
        assert_eq!(message(&body, &bytes).as_deref(), Some("no: [token]"));
    }

    #[test]
    fn text_with_odd_escapes_stays_as_it_is() {
        let token = [Secret::new(b"t0ken-t0ken")];
        for text in [
            r"C:\new\table",
            r"\u12",
            r"t\u+030ken-t0ken",
            r"\ud83d",
            r"\",
            r"a\é",
            r#"{"a":"b\/c"}"#,
        ] {
            assert_eq!(message(text, &token).as_deref(), Some(text));
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let token = [Secret::new(b"t0ken")];
        let text = "ü".repeat(600);
        assert_eq!(message(&text, &token).unwrap().len(), 512);
        assert_eq!(message(&format!("a{text}"), &token).unwrap().len(), 511);
        let late = format!("{}{}", "a".repeat(510), "t0ken");
        assert!(message(&late, &token).unwrap().ends_with("a[t"));
        assert_eq!(word(&"x".repeat(200), &token).unwrap().len(), 128);
        assert_eq!(word("a\tbü", &token).as_deref(), Some("a?b?"));
    }

    #[test]
    fn no_half_of_a_token_is_left_where_the_window_ends() {
        let token = [Secret::new(b"gAAAA-secret")];
        for before in WINDOW - 14..WINDOW + 2 {
            let text = format!("{}gAAAA-secret and more", " ".repeat(before));
            let line = message(&text, &token).unwrap_or_default();
            assert!(!line.contains('g'), "{before}: {line}");
        }
    }

    #[test]
    fn a_huge_text_of_short_tokens_stays_small() {
        let token = [Secret::new(b"t")];
        let text = "t".repeat(4 << 20);
        let text = without_secrets(&text, &token);
        assert!(text.len() <= WINDOW * "[token]".len(), "{}", text.len());
    }
}
