//! The file of rules: read, and checked to the last value.
//!
//! Problems are told with line and key but never with the value: a token may have been written
//! where its hash belongs.

use std::{collections::HashSet, fmt::Display, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    rules::{Caller, Projects, Rules},
    san::Pattern,
    token::TokenHash,
};
use crate::{
    files::{File, FileError},
    job::IdProblem,
};

/// The longest name of a caller.
const MAX_NAME: usize = 128;

/// What is wrong, and where.
struct Problem {
    at: usize,
    what: String,
}

type Value<'i> = Spanned<DeValue<'i>>;

/// Reads all rules.
pub(super) fn parse(file: &File) -> Result<Rules, FileError> {
    let text = std::str::from_utf8(&file.bytes)
        .map_err(|_| FileError::content(file, &"must be written in UTF-8"))?;
    rules(text).map_err(|Problem { at, what }| {
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        FileError::content(file, &format_args!("line {line}: {what}"))
    })
}

fn rules(text: &str) -> Result<Rules, Problem> {
    let table = DeTable::parse(text)
        .map_err(|error| Problem::new(error.span().unwrap_or_default(), error.message()))?;
    let end = text.len()..text.len();
    let [callers] = keys(table.get_ref(), ["caller"])?;
    let callers = items(callers, "caller")?;
    // More likely half a file than a wish to lock out everybody.
    if callers.is_empty() {
        return Err(Problem::new(end, "there is no [[caller]]"));
    }
    let mut rules = Rules::default();
    for value in callers {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(Problem::new(value.span(), "caller: must be written as [[caller]]"));
        };
        let (caller, tokens) = caller(table, value.span(), &rules)?;
        rules.add(caller, tokens);
    }
    Ok(rules)
}

fn caller(
    table: &DeTable<'_>,
    span: Range<usize>,
    others: &Rules,
) -> Result<(Caller, Vec<TokenHash>), Problem> {
    let [name, san, tokens, projects] = keys(table, ["name", "san", "token_sha256", "projects"])?;
    let missing = |key| Problem::new(span.clone(), format_args!("the caller has no {key}"));

    let value = name.ok_or_else(|| missing("name"))?;
    let name = string(value, "name")?;
    if !(1..=MAX_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
        let what = format_args!("name: must have 1 to {MAX_NAME} bytes and no control characters");
        return Err(Problem::new(value.span(), what));
    }
    if others.has(name) {
        return Err(Problem::new(value.span(), "name: another caller has it already"));
    }

    let patterns = each(san, "san", Pattern::parse)?;
    let mut known: Vec<TokenHash> = Vec::new();
    for value in items(tokens, "token_sha256")? {
        let problem = |what: &dyn Display| Problem::of(value, "token_sha256", what);
        let hash = TokenHash::parse(string(value, "token_sha256")?).map_err(|it| problem(&it))?;
        if others.owner(&hash).is_some() || known.iter().any(|other| hash.is(other)) {
            return Err(problem(&"is there twice"));
        }
        known.push(hash);
    }
    if patterns.is_empty() && known.is_empty() {
        return Err(missing("san and no token_sha256: nobody can be known as him"));
    }

    let value = projects.ok_or_else(|| missing("projects"))?;
    let ids = each(Some(value), "projects", |id| match IdProblem::of(id) {
        Some(problem) if id != "*" => Err(problem),
        Some(_) | None => Ok(Box::<str>::from(id)),
    })?;
    if ids.is_empty() {
        return Err(Problem::of(value, "projects", &"must not be empty; \"*\" means all"));
    }
    let projects = if ids.iter().any(|id| **id == *"*") {
        Projects::All
    } else {
        Projects::These(HashSet::from_iter(ids))
    };
    Ok((Caller { name: name.into(), patterns, projects }, known))
}

/// The values of these keys. There must be no others.
fn keys<'t, 'i, const N: usize>(
    table: &'t DeTable<'i>,
    names: [&str; N],
) -> Result<[Option<&'t Value<'i>>; N], Problem> {
    match table.keys().find(|key| !names.contains(&&**key.get_ref())) {
        Some(key) => {
            let what = format_args!("there is no key {:?} here", key.get_ref());
            Err(Problem::new(key.span(), what))
        }
        None => Ok(names.map(|name| table.get(name))),
    }
}

fn each<T, E: Display>(
    list: Option<&Value<'_>>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Problem> {
    let parse =
        |value| parse(string(value, key)?).map_err(|problem| Problem::of(value, key, &problem));
    items(list, key)?.iter().map(parse).collect()
}

fn items<'t, 'i>(list: Option<&'t Value<'i>>, key: &str) -> Result<&'t [Value<'i>], Problem> {
    list.map_or(Ok(&[]), |value| self::list(value, key).map(|items| &**items))
}

fn list<'t, 'i>(value: &'t Value<'i>, key: &str) -> Result<&'t DeArray<'i>, Problem> {
    value.get_ref().as_array().ok_or_else(|| Problem::of(value, key, &"must be a list"))
}

fn string<'t>(value: &'t Value<'_>, key: &str) -> Result<&'t str, Problem> {
    value.get_ref().as_str().ok_or_else(|| Problem::of(value, key, &"must be text in quotes"))
}

// === impl Problem ===

impl Problem {
    fn new(span: Range<usize>, what: impl Display) -> Self {
        Self { at: span.start, what: what.to_string() }
    }

    fn of(value: &Value<'_>, key: &str, what: &dyn Display) -> Self {
        Self::new(value.span(), format_args!("{key}: {what}"))
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
