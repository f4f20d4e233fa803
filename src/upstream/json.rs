//! JSON as the upstream writes it: objects and lists of unread pieces.
//!
//! Reading one layer at a time keeps a number's own digits, survives any odd type in any field,
//! and needs no recursion for what nobody asked for. As with most readers, the last of two equal
//! keys wins.

use std::{borrow::Cow, fmt, mem};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// One JSON value that has not been looked into.
pub(super) type Raw<'a> = &'a RawValue;

/// One layer of a JSON object: its fields in the order of their keys, each key once.
pub(super) struct Object<'a>(Vec<Field<'a>>);

type Field<'a> = (Cow<'a, str>, Raw<'a>);

/// How many fields a job has, and some more.
const TYPICAL_FIELDS: usize = 12;

struct List<'a>(Vec<Raw<'a>>);
struct Key<'a>(Cow<'a, str>);

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Bool,
    Number,
    String,
    List,
    Object,
}

// === impl Object ===

impl<'a> Object<'a> {
    /// Reads a whole document; `None` if it is no JSON or no object.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // A byte-order mark is no JSON, but some writers put one.
        serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).ok()
    }

    /// Reads a value; `None` if it is no object.
    pub(super) fn of(raw: Raw<'a>) -> Option<Self> {
        (type_of(raw) == Type::Object).then(|| Self::parse(raw.get())).flatten()
    }

    pub(super) fn get(&self, key: &str) -> Option<Raw<'a>> {
        let at = self.0.binary_search_by(|(its, _)| (**its).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| *value)
    }

    /// The text of a field; `None` if it is absent, null or blank.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).map(text).filter(|text| !text.is_empty())
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_fields(self) -> Vec<Field<'a>> {
        self.0
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), *value))
    }
}

/// Reads the elements of a list; `None` if the value is no list.
pub(super) fn list(raw: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    if type_of(raw) != Type::List {
        return None;
    }
    serde_json::from_str::<List<'_>>(raw.get()).ok().map(|list| list.0)
}

/// The type of a value, by its first character.
pub(super) fn type_of(raw: Raw<'_>) -> Type {
    match raw.get().as_bytes().first() {
        Some(b'"') => Type::String,
        Some(b'{') => Type::Object,
        Some(b'[') => Type::List,
        Some(b't' | b'f') => Type::Bool,
        Some(b'n') | None => Type::Null,
        Some(_) => Type::Number,
    }
}

/// Any value as text: a string's content, nothing for null, else the JSON without white space.
pub(super) fn text(raw: Raw<'_>) -> Cow<'_, str> {
    match type_of(raw) {
        Type::String => string(raw.get()),
        Type::Null => Cow::Borrowed(""),
        Type::Bool | Type::Number => Cow::Borrowed(raw.get()),
        Type::List | Type::Object => compact(raw.get()),
    }
}

/// The content of a string with its quotes.
fn string(json: &str) -> Cow<'_, str> {
    match json.get(1..json.len() - 1) {
        // Without an escape, it is what it says.
        Some(content) if !content.contains('\\') => Cow::Borrowed(content),
        _ => serde_json::from_str::<Key<'_>>(json).map_or(Cow::Borrowed(json), |key| key.0),
    }
}

/// JSON without the white space between its tokens; nothing else changes.
fn compact(json: &str) -> Cow<'_, str> {
    let mut in_string = false;
    let mut escaped = false;
    let keep = |char: &char| {
        let kept = in_string || !matches!(char, ' ' | '\t' | '\n' | '\r');
        match char {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        kept
    };
    Cow::Owned(json.chars().filter(keep).collect())
}

// === impl Deserialize ===

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<Field<'_>> = Vec::with_capacity(TYPICAL_FIELDS);
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                fields.sort_by(|(one, _), (other, _)| one.cmp(other));
                fields.dedup_by(|later, earlier| {
                    let same = later.0 == earlier.0;
                    if same {
                        mem::swap(later, earlier);
                    }
                    same
                });
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(List(elements))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                // Faster, and mostly enough.
                let text = str::from_utf8(bytes).map(Cow::Borrowed);
                Ok(Key(text.unwrap_or_else(|_| String::from_utf8_lossy(bytes))))
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::custom("expected bytes"))
            }
        }
        // As bytes, so that half a surrogate pair (`\ud83d` alone) costs a character and not the
        // job: read as text it would be an error.
        deserializer.deserialize_bytes(Text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(json: &str) -> Vec<(String, String)> {
        let object = Object::parse(json).expect(json);
        object.fields().map(|(key, value)| (key.to_owned(), text(value).into_owned())).collect()
    }

    #[test]
    fn any_value_has_a_text() {
        for (json, expected) in [
            (r#""a""#, "a"),
            (r#""""#, ""),
            (r#""a\"b\u00e9\n""#, "a\"bé\n"),
            ("40", "40"),
            ("-0", "-0"),
            ("1.50", "1.50"),
            ("1E+400", "1E+400"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("true", "true"),
            ("false", "false"),
            ("null", ""),
            ("[ ]", "[]"),
            (
                "{ \"b\" : [ 1.0 , \"x \\\" y\" ] ,\n\t\"a\" : null }",
                r#"{"b":[1.0,"x \" y"],"a":null}"#,
            ),
        ] {
            assert_eq!(texts(&format!("{{\"k\":{json}}}"))[0].1, expected, "{json}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_costs_a_character_and_no_more() {
        let fields = texts(r#"{"k\ud83d": "a\ud83dz", "w": "\ud83d\ude00"}"#);
        assert!(fields[0].0.starts_with('k') && fields[0].1.starts_with('a'));
        assert!(fields[0].1.ends_with('z'));
        assert_eq!(fields[1].1, "😀");
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(texts(r#"{"k":1,"k":2}"#), [("k".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn only_whole_objects_are_objects() {
        for json in ["", " ", "[]", "1", "null", "\"x\"", "{", "{}x", "{\"a\":}", "<html>", "{}{}"]
        {
            assert!(Object::parse(json).is_none(), "{json}");
        }
        assert!(Object::parse("\u{feff} {} \n").is_some());
    }

    #[test]
    fn depth_that_nobody_reads_costs_no_stack() {
        let deep = format!("{{\"k\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(texts(&deep)[0].1.len(), 200_000);
    }
}
