//! No secret comes back, however the upstream spells it in its answer.

use super::{answer, input};
use crate::{
    job::JobPath,
    upstream::{Secret, fuzzing as upstream},
};

/// None of them is a part of the texts around it.
pub(super) const SECRETS: [&str; 3] =
    ["gAAAAABn-t0ken_w/ith+signs==", "p\u{e4}\"ss\\n/w\u{f6}\u{1f600}rd", "AKIAHBFRANDOMKEY0007"];

/// How often a text can have been put into JSON and is still seen through.
const MAX_ESCAPES: usize = 3;

/// A `~` in the input and the byte after it stand for a secret in some spelling.
const MARK: u8 = b'~';

/// An answer of the upstream, with marks where it has secrets.
pub fn check(input: &[u8]) {
    let secrets = SECRETS.map(|text| Secret::line(text.as_bytes()));
    let secrets: Vec<_> = secrets.into_iter().flatten().collect();
    assert_eq!(secrets.len(), SECRETS.len());
    let input = with_secrets(input);
    let (Some(answer), Ok(path)) = (input::answer(&input), JobPath::parse("p", "asked")) else {
        return;
    };
    if let Err(error) = upstream::read(&answer, &path, &secrets) {
        has_none(&SECRETS, &error.detail);
        let texts = error.answer.iter().flat_map(|it| [&it.code, &it.message, &it.request_id]);
        for text in texts.flatten() {
            has_none(&SECRETS, text);
        }
        let status = answer::tells_little(*error, &path);
        has_none(&SECRETS, status.message());
        has_none(&SECRETS, &String::from_utf8_lossy(status.details()));
    }
}

/// The input with all secrets in their places.
pub(super) fn with_secrets(input: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(input.len());
    let mut rest = input;
    loop {
        match rest {
            [MARK, choice, after @ ..] => {
                text.extend_from_slice(spelled(*choice).as_bytes());
                rest = after;
            }
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return text,
        }
    }
}

/// The byte chooses the secret, how often it is put into JSON, and what is escaped in that.
fn spelled(choice: u8) -> String {
    let choice = usize::from(choice.wrapping_sub(b'a'));
    let secret = SECRETS[choice % 3];
    let (times, style) = (choice / 3 % (MAX_ESCAPES + 1), choice / 12);
    (0..times).fold(secret.to_owned(), |text, _| {
        let escape = |(at, char)| escaped(char, style * (at + style));
        text.chars().enumerate().map(escape).collect()
    })
}

fn escaped(char: char, style: usize) -> String {
    match (char, style % 4) {
        ('"' | '\\', 0 | 2) | ('/', 2) => format!("\\{char}"),
        ('"' | '\\', _) | (_, 1) => units(char, false),
        (_, 3) => units(char, true),
        _ => char.to_string(),
    }
}

/// A character in UTF-16, as JSON escapes it.
fn units(char: char, capitals: bool) -> String {
    let mut units = [0; 2];
    let unit = |unit: &u16| {
        if capitals { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }
    };
    char.encode_utf16(&mut units).iter().map(unit).collect()
}

/// Neither a text nor what it is when read as JSON again and again has one of the secrets in it.
pub(super) fn has_none(secrets: &[&str], text: &str) {
    let mut read = text.to_owned();
    for times in 0..=MAX_ESCAPES {
        let found = secrets.iter().find(|secret| read.contains(**secret));
        assert_eq!(found, None, "after {times} readings of {text:?}");
        read = read_as_json(&read);
    }
}

/// What a lenient reader of JSON makes of the inside of a string.
fn read_as_json(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let unit = |at: usize| {
        let digits = chars.get(at..at + 6)?.strip_prefix(&['\\', 'u'])?;
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | digit.to_digit(16)?))
    };
    let mut read = String::new();
    let mut at = 0;
    while let Some(char) = chars.get(at) {
        let (meant, len) = match (char, chars.get(at + 1)) {
            ('\\', Some('u')) => match (unit(at), unit(at + 6)) {
                (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                    (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
                }
                (Some(unit), _) => (char::from_u32(unit), 6),
                (None, _) => (None, 0),
            },
            ('\\', Some(escaped @ ('"' | '\\' | '/'))) => (Some(*escaped), 2),
            ('\\', Some('n' | 'r' | 't' | 'b' | 'f')) => (Some(' '), 2),
            _ => (None, 0),
        };
        read.push(meant.unwrap_or(*char));
        at += if meant.is_some() { len } else { 1 };
    }
    read
}
