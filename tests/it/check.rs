//! `jobgate check`, and what is wrong with options for credentials.

use std::process::Output;

use crate::support::{
    cloud::simulator,
    program::{SECRET, jobgate},
};

const SCRIPT: &str = r#"
[tokens]
accept = "issued"
[tokens.users]
ann = "right"
[keys.known]
AK = "right"
"#;

async fn run(args: &str, env: &[(&str, &str)]) -> Output {
    let args: Vec<_> = args.split_whitespace().collect();
    jobgate(&args).envs(env.iter().copied()).output().await.unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn it_tells_whether_the_credentials_are_good() {
    let cloud = simulator(SCRIPT).await;
    let login = format!(
        "check --upstream http://{cloud} --credentials password --iam-url http://{cloud} \
         --iam-user ann --iam-domain acme --iam-project-id p1"
    );
    let aimless = format!("check --upstream http://{cloud} --credentials aksk --access-key AK");
    let keys = format!("{aimless} --project p1");
    let nowhere = "check --upstream http://127.0.0.1:1".to_owned();
    let passthrough = format!("check --upstream http://{cloud}");
    let other = format!("{login} --project p2");
    let offline = format!("{nowhere} --offline");
    let password = "JOBGATE_IAM_PASSWORD";
    let secret_key = "JOBGATE_SECRET_KEY";
    for (args, env, code, text) in [
        (&login, &[(password, "right")][..], 0, "takes the credentials"),
        (&login, &[(password, "wr0ng")], 1, "HTTP status 401"),
        (&other, &[(password, "right")], 1, "the credentials do not allow this"),
        (&aimless, &[(secret_key, "wr0ng")], 0, "it needs --project"),
        (&keys, &[(secret_key, "right")], 0, "takes the credentials"),
        (&keys, &[(secret_key, "wr0ng")], 1, "verify aksk signature fail"),
        (&passthrough, &[], 0, "callers bring their own tokens"),
        (&passthrough, &[("JOBGATE_TOKEN", SECRET)], 1, "does not accept the credentials"),
        (&nowhere, &[], 1, "can't be reached"),
        (&offline, &[], 0, "ok: options and files"),
    ] {
        let output = run(args, env).await;
        let (stdout, stderr) = texts(&output);
        let all = format!("{stdout}{stderr}");
        assert_eq!(output.status.code(), Some(code), "{args}: {all}");
        assert!(all.contains(text), "{args}: {all}");
        assert!(!all.contains(SECRET) && !all.contains("wr0ng"), "{args}: {all}");
    }
}

#[tokio::test]
async fn it_shows_the_options_in_effect_and_where_they_come_from() {
    let args = "check --offline --upstream http://vbs.example --workers 3";
    let env = [
        ("JOBGATE_POLL_MIN", "7s"),
        ("JOBGATE_CREDENTIALS", "aksk"),
        ("JOBGATE_ACCESS_KEY", "AK"),
        ("JOBGATE_SECRET_KEY", SECRET),
    ];
    let (stdout, stderr) = texts(&run(args, &env).await);
    for line in [
        "--upstream http://vbs.example    (command line)",
        "--workers 3    (command line)",
        "--poll-min 7s    (JOBGATE_POLL_MIN)",
        "--poll-max 15s    (default)",
        "--access-key AK    (JOBGATE_ACCESS_KEY)",
        "JOBGATE_SECRET_KEY is set    (not shown)",
    ] {
        assert!(stdout.lines().any(|it| it == line), "{line}: {stdout}{stderr}");
    }
    assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET));
}

#[tokio::test]
async fn options_that_do_not_go_together_are_named() {
    let base = "check --offline --upstream http://vbs.example";
    let login = "--credentials password --iam-url http://iam.example";
    for (args, text) in [
        ("--iam-user ann".to_owned(), "--iam-user has no effect with --credentials passthrough"),
        ("--access-key AK".to_owned(), "--access-key has no effect"),
        ("--credentials password".to_owned(), "needs --iam-url"),
        (format!("{login} --iam-user ann"), "needs --iam-domain"),
        (format!("{login} --iam-user-id u"), "needs --iam-project"),
        (format!("{login} --iam-user-id u --iam-project-id p"), "JOBGATE_IAM_PASSWORD"),
        (format!("{login} --secret-key-file f"), "--secret-key-file has no effect"),
        (format!("{login} --iam-user a --iam-user-id u"), "cannot be used with"),
        ("--credentials aksk".to_owned(), "needs --access-key"),
        ("--credentials aksk --access-key AK".to_owned(), "JOBGATE_SECRET_KEY"),
        (
            "--credentials aksk --key-source metadata --access-key AK".to_owned(),
            "--access-key has no effect",
        ),
        ("--credentials aksk --iam-url http://iam.example".to_owned(), "--iam-url has no effect"),
        ("--upstream-client-cert f".to_owned(), "--upstream-client-key"),
        ("--upstream-proxy http://me:pass1@proxy".to_owned(), "password"),
        ("--upstream-tls-min 1.1".to_owned(), "1.2"),
    ] {
        let output = run(&format!("{base} {args}"), &[]).await;
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{args}: {stderr}");
        assert!(stderr.contains(text) && !stderr.contains("pass1"), "{args}: {stderr}");
    }
}

#[tokio::test]
async fn files_that_are_not_good_are_named() {
    let base = "check --offline --upstream http://vbs.example";
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let empty = file("empty", "\n");
    let lines = file("lines", "one\ntwo\n");
    let login = "--credentials password --iam-url http://iam --iam-user-id u --iam-project-id p";
    for (args, text) in [
        (format!("{login} --iam-password-file /no/such/file"), "can't read /no/such/file"),
        (format!("{login} --iam-password-file {empty}"), "is empty"),
        (format!("{login} --iam-password-file {lines}"), "is not one line of text"),
        (format!("--upstream-ca {lines}"), "there is no certificate in PEM"),
        (format!("--upstream-client-cert {lines} --upstream-client-key {lines}"), lines.as_str()),
        (
            format!("--upstream-proxy http://p --upstream-proxy-credentials-file {empty}"),
            empty.as_str(),
        ),
    ] {
        let output = run(&format!("{base} {args}"), &[]).await;
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{args}: {stderr}");
        assert!(stderr.contains(text), "{args}: {stderr}");
    }
}
