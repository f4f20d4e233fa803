//! A file of rules says who may what, or what is wrong with it; it never quotes a value.

use toml::de::{DeTable, DeValue};

use crate::access::{Refusal, Shown, TokenHash, fuzzing::rules};

/// What somebody may write where its hash belongs.
const TOKEN: &str = "s3cret-t0ken";

/// A file of rules.
pub fn check(input: &[u8]) {
    match rules(input) {
        Ok(rules) => {
            let verdict = rules.judge(&Shown::default(), "p");
            assert!(verdict.caller.is_none() && verdict.outcome == Err(Refusal::Missing));
            let shown = Shown { token: Some(TokenHash::of(TOKEN.as_bytes())), certificate: None };
            assert!(rules.judge(&shown, "p").outcome == Err(Refusal::UnknownToken));
        }
        Err(problem) => {
            assert!(problem.starts_with("callers.toml: ") && !problem.contains('\n'), "{problem}");
            let is_key = std::str::from_utf8(input).is_ok_and(|text| names(text, TOKEN));
            assert!(is_key || !problem.contains(TOKEN), "{problem}");
        }
    }
}

/// Whether a text that is TOML has this as a key, or in one. What is wrong with a key, names it.
/// Values are not looked at: a number that fits nowhere does not make a key unknown.
fn names(text: &str, part: &str) -> bool {
    fn has_key(value: &DeValue<'_>, part: &str) -> bool {
        match value {
            DeValue::Table(table) => is_named(table, part),
            DeValue::Array(values) => values.iter().any(|value| has_key(value.get_ref(), part)),
            _ => false,
        }
    }
    fn is_named(table: &DeTable<'_>, part: &str) -> bool {
        table
            .iter()
            .any(|(key, value)| key.get_ref().contains(part) || has_key(value.get_ref(), part))
    }
    DeTable::parse(text).is_ok_and(|table| is_named(table.get_ref(), part))
}
