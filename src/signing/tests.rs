//! Signatures of the vendor's own signers.

use serde::Deserialize;

use super::*;

/// A signed request as a vendor's signer made it.
#[derive(Deserialize)]
struct Vector {
    name: String,
    access_key: String,
    secret_key: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    date: String,
    body: String,
    authorization: String,
}

/// Checks all vectors of a JSON text; returns how many there were.
fn check(vectors: &str) -> usize {
    let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
    for vector in &vectors {
        let request = Request {
            method: &vector.method,
            path: &vector.path,
            query: &pairs(&vector.query),
            headers: &pairs(&vector.headers),
            date: &vector.date,
            body: vector.body.as_bytes(),
        };
        let signed = authorization(&vector.access_key, vector.secret_key.as_bytes(), &request);
        assert_eq!(signed, vector.authorization, "{}", vector.name);
    }
    vectors.len()
}

fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[test]
fn published_signatures_come_out() {
    assert_eq!(check(include_str!("vectors.json")), 15);
}

/// `tests/clients/signer` has the vendor's signer sign random requests, and names the file.
#[test]
fn signatures_of_random_requests_come_out() {
    if let Some(path) = std::env::var_os("JOBGATE_SIGNED_REQUESTS") {
        assert!(check(&std::fs::read_to_string(path).unwrap()) > 0);
    }
}

#[test]
fn neither_spaces_nor_the_names_case_change_a_signature() {
    let sign = |headers| {
        let (method, path, date) = ("GET", "/", "20191115T033655Z");
        authorization("a", b"s", &Request { method, path, query: &[], headers, date, body: b"" })
    };
    let plain = sign(&[("host", "example.com"), ("x-project-id", "p")]);
    assert_eq!(sign(&[("X-Project-Id", " p\t"), ("Host", " example.com ")]), plain);
}

#[test]
fn a_query_is_sorted_and_escaped() {
    let query = [
        ("test", "一 (&=?!#%.*)"),
        ("path", "/tmp/123"),
        ("multi", "3"),
        ("multi", "1"),
        ("multi", "2"),
        ("limit", "1"),
        ("enable", "true"),
    ];
    let expected = "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123\
                    &test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29";
    assert_eq!(canonical_query(&query), expected);
}

#[test]
fn a_date_is_of_utc_without_fraction() {
    let time = "2019-11-15T04:36:55.999+01:00".parse().unwrap();
    assert_eq!(date(time), "20191115T033655Z");
}
