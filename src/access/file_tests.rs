use super::*;
use crate::access::{Certificate, Refusal, Shown};

/// `printf %s abc | sha256sum`
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn read(text: &str) -> Result<Rules, String> {
    let file = File { path: "callers.toml".into(), bytes: text.as_bytes().to_vec().into() };
    parse(&file).map_err(|error| error.to_string())
}

#[test]
fn a_good_file_says_who_may_what() {
    let rules = read(&format!(
        r#"
        [[caller]]
        name = "backup-operator"
        san = ["spiffe://prod/ns/backup/*", "*.example.com"]
        token_sha256 = ["{ABC}"]
        projects = ["0a1b2c", "3-d_4"]

        [[caller]]
        name = "admin"
        san = ["admin.example.org"]
        projects = ["x", "*"]
        "#
    ))
    .unwrap();
    assert!(rules.take_tokens());
    let abc = Shown { certificate: None, token: Some(TokenHash::of(b"abc")) };
    assert_eq!(rules.judge(&abc, "3-d_4").outcome, Ok(()));
    assert_eq!(rules.judge(&abc, "x").outcome, Err(Refusal::Project));
    let admin =
        Shown { certificate: Some(Certificate::new(["admin.example.org"], [])), token: None };
    let verdict = rules.judge(&admin, "any");
    assert_eq!((verdict.caller.as_deref(), verdict.outcome), (Some("admin"), Ok(())));
}

#[test]
fn without_hashes_no_token_is_taken() {
    let text = "[[caller]]\nname = \"a\"\nsan = [\"a.b\"]\nprojects = [\"*\"]\n";
    assert!(!read(text).unwrap().take_tokens());
}

#[test]
fn an_error_names_file_line_and_key_but_never_a_value() {
    let hash = format!("token_sha256 = [\"{ABC}\"]\n");
    let good = format!("[[caller]]\nname = \"a\"\n{hash}projects = [\"p\"]\n");
    let with = |lines: &str| format!("[[caller]]\nname = \"a\"\n{lines}");
    for (text, line, part) in [
        (String::new(), 1, "no [[caller]]"),
        ("# nobody\n".into(), 2, "no [[caller]]"),
        ("caller = []\n".into(), 2, "no [[caller]]"),
        ("caller = []\n[x]\n".into(), 2, "\"x\""),
        ("caller = \"s3cret\"\n".into(), 1, "caller: must be a list"),
        ("caller = [\"s3cret\"]\n".into(), 1, "[[caller]]"),
        ("[[caller]\n".into(), 1, ""),
        ("[[caller]]\nname = \"s3cret\n".into(), 2, ""),
        ("\n[[caller]]\nprojects = [\"p\"]\n".into(), 2, "no name"),
        ("[[caller]]\nname = 5\n".into(), 2, "name: must be text"),
        ("[[caller]]\nname = \"\"\n".into(), 2, "name: "),
        ("[[caller]]\nname = \"a\\nb\"\n".into(), 2, "name: "),
        (with("tokens = [\"s3cret\"]\n"), 3, "\"tokens\""),
        (with("projects = [\"p\"]\n"), 1, "no san and no token_sha256"),
        (with("san = []\ntoken_sha256 = []\nprojects = [\"p\"]\n"), 1, "no san"),
        (with("san = \"a.b\"\n"), 3, "san: must be a list"),
        (with("san = [\"a.b\",\n  \"a b\"]\n"), 4, "san: must be a DNS name"),
        (with("token_sha256 = \"s3cret\"\n"), 3, "token_sha256: must be a list"),
        (with("token_sha256 = [\"s3cret\"]\n"), 3, "token_sha256: must be the SHA-256"),
        (with("token_sha256 = [{ s3cret = 1 }]\n"), 3, "token_sha256: must be text"),
        (with(&format!("token_sha256 = [\"{ABC}\",\n\"{ABC}\"]\n")), 4, "is there twice"),
        (with(&hash), 1, "no projects"),
        (with(&format!("{hash}projects = []\n")), 4, "projects: must not be empty"),
        (with(&format!("{hash}projects = [\"p\",\n\"a/b\"]\n")), 5, "projects: may have only"),
        (with(&format!("{hash}projects = [\"\"]\n")), 4, "projects: must not be empty"),
        (with(&format!("{hash}projects = [\"p*\"]\n")), 4, "projects: may have only"),
        (format!("{good}{good}"), 6, "name: another caller"),
        (format!("{good}{}", good.replace("\"a\"", "\"b\"")), 7, "is there twice"),
    ] {
        let error = read(&text).err().unwrap_or_else(|| panic!("{text} is good"));
        assert!(error.starts_with(&format!("callers.toml: line {line}: ")), "{text}{error}");
        assert!(error.contains(part), "{text}{error}");
        assert!(!error.contains("s3cret") && !error.contains('\n'), "{text}{error}");
    }
    let error = parse(&File { path: "x".into(), bytes: vec![0xff].into() }).err().unwrap();
    assert_eq!(error.to_string(), "x: must be written in UTF-8");
}
