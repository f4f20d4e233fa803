//! The script's tables of who is let in: users, tokens, access keys, and how often they may ask.

use std::{collections::BTreeMap, fmt, marker::PhantomData, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::duration;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::simulator) struct Tokens {
    /// Which tokens are good.
    pub(in crate::simulator) accept: Accept,
    /// Good tokens besides the issued ones, each for every project.
    pub(in crate::simulator) known: Vec<String>,
    #[serde(deserialize_with = "duration")]
    pub(in crate::simulator) lifetime: Duration,
    /// The users who get a token, by name; none: everybody gets one.
    #[serde(deserialize_with = "entries")]
    pub(in crate::simulator) users: BTreeMap<String, User>,
    /// The projects there are tokens for, by name; none: all, and their names are their ids.
    #[serde(deserialize_with = "entries")]
    pub(in crate::simulator) projects: BTreeMap<String, Project>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(in crate::simulator) enum Accept {
    Any,
    Issued,
}

/// A user; written as a text, it is the password.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct User {
    pub(in crate::simulator) password: String,
    pub(in crate::simulator) id: Option<String>,
    pub(in crate::simulator) domain: Option<String>,
    pub(in crate::simulator) domain_id: Option<String>,
}

/// A project; written as a text, it is the id.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct Project {
    pub(in crate::simulator) id: String,
    pub(in crate::simulator) domain: Option<String>,
    pub(in crate::simulator) domain_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::simulator) struct Keys {
    /// The access keys with their secret keys, each for every project.
    pub(in crate::simulator) known: BTreeMap<String, String>,
    /// So many wrong signatures in a row lock a key.
    pub(in crate::simulator) lock_after: u32,
    #[serde(deserialize_with = "duration")]
    pub(in crate::simulator) lock_for: Duration,
}

/// The metadata service, which gives a machine temporary keys.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::simulator) struct Metadata {
    /// Of the temporary keys.
    #[serde(deserialize_with = "duration")]
    pub(in crate::simulator) lifetime: Duration,
    pub(in crate::simulator) session: Session,
}

/// Whether the metadata service has session tokens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(in crate::simulator) enum Session {
    Off,
    Optional,
    Required,
}

/// How many requests a token or an access key may make.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct Throttle {
    pub(in crate::simulator) limit: u32,
    #[serde(deserialize_with = "duration")]
    pub(in crate::simulator) per: Duration,
}

/// A table, or the text that stands for the one key it must have.
struct Entry<T>(T);

struct EntryVisitor<T>(PhantomData<T>);

fn entries<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + From<String>,
{
    let entries = BTreeMap::<String, Entry<T>>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|(name, Entry(entry))| (name, entry)).collect())
}

// === impl Tokens, Keys, Metadata ===

impl Default for Tokens {
    fn default() -> Self {
        Self {
            accept: Accept::Any,
            known: Vec::new(),
            lifetime: Duration::from_hours(24),
            users: BTreeMap::new(),
            projects: BTreeMap::new(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { known: BTreeMap::new(), lock_after: 5, lock_for: Duration::from_mins(5) }
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self { lifetime: Duration::from_hours(1), session: Session::Optional }
    }
}

// === impl User, Project ===

impl From<String> for User {
    fn from(password: String) -> Self {
        Self { password, id: None, domain: None, domain_id: None }
    }
}

impl From<String> for Project {
    fn from(id: String) -> Self {
        Self { id, domain: None, domain_id: None }
    }
}

// === impl Entry ===

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor(PhantomData)).map(Self)
    }
}

impl<'de, T: Deserialize<'de> + From<String>> Visitor<'de> for EntryVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(text.to_owned().into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
