//! The page at the admin port: there if it is wanted, locked in, and no way around the rules.

use jobgate::server::{self, ui, web::Origins};

use crate::{
    health::http_get,
    support::{
        Gateway, Reply, TOKEN, Upstream, cloud::http, gateway::GET_JOB, gateway::config,
        program::output,
    },
};

const FILES: [&str; 6] = [
    "/ui/style.css",
    "/ui/page.js",
    "/ui/tree.js",
    "/ui/watch.js",
    "/ui/messages.js",
    "/ui/words.js",
];

async fn with_page(upstream: &Upstream, origins: Option<Origins>) -> Gateway {
    let ui = Some(ui::Config::default());
    Gateway::with(server::Config { ui, web: origins, ..config(upstream.address) }).await
}

#[tokio::test]
async fn there_is_no_page_unless_it_is_wanted() {
    let upstream = Upstream::new([]).await;
    let gateway = Gateway::new(&upstream).await;
    for path in FILES.into_iter().chain(["/ui", "/ui/gateway.json"]) {
        assert_eq!(http_get(gateway.admin, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_page_is_whole_and_needs_nothing_else() {
    let upstream = Upstream::new([]).await;
    let gateway = with_page(&upstream, None).await;
    let (status, page) = http_get(gateway.admin, "/ui").await;
    assert_eq!(status, 200);
    let policy = page.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
    let policy = policy.unwrap();
    let connect = format!("connect-src 'self' http://x:{};", gateway.address.port());
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(policy.contains(&connect), "{policy}");
    for file in FILES {
        let (status, text) = http_get(gateway.admin, file).await;
        assert_eq!(status, 200, "{file}");
        assert!(text.contains("x-content-type-options: nosniff"), "{file}");
        // No address but that of SVG's name space, which is a name.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("//cdn") && !text.contains("http://www"), "{file}");
        assert!(!text.contains("innerHTML") && !text.contains("Storage"), "{file}");
    }
}

#[tokio::test]
async fn the_page_learns_whose_pages_may_call() {
    let upstream = Upstream::new([]).await;
    let these = Origins::These(vec!["https://jobs.example.com".parse().unwrap()]);
    for (origins, expected) in [
        (None, serde_json::json!([])),
        (Some(Origins::Any), serde_json::json!(["*"])),
        (Some(these), serde_json::json!(["https://jobs.example.com"])),
    ] {
        let gateway = with_page(&upstream, origins).await;
        let told = http_get(gateway.admin, "/ui/gateway.json").await.1;
        let told: serde_json::Value =
            serde_json::from_str(told.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let address = format!("http://x:{}", gateway.address.port());
        assert_eq!(told, serde_json::json!({ "gateway": address, "origins": expected }));
    }
}

#[tokio::test]
async fn flags_that_can_not_be_meant_are_told_of() {
    let check = ["check", "--offline", "--upstream", "http://127.0.0.1:1"];
    for (flags, text) in [
        (&["--admin-ui", "--admin-listen", "off"][..], "--admin-ui needs --admin-listen"),
        (&["--admin-ui-gateway", "https://grpc.example"], "--admin-ui"),
        (&["--grpc-web-allow-origin", "jobs.example.com"], "not an origin like"),
    ] {
        let done = output(&[&check, flags].concat()).await;
        let stderr = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), stderr.contains(text)), (Some(2), true), "{stderr}");
    }
}

#[tokio::test]
async fn the_admin_port_answers_for_no_job() {
    let upstream = Upstream::new([Reply::job()]).await;
    let gateway = with_page(&upstream, Some(Origins::Any)).await;
    for content_type in ["application/grpc-web+proto", "application/grpc"] {
        let request = http()
            .post(format!("http://{}{GET_JOB}", gateway.admin))
            .header("content-type", content_type)
            .header("x-auth-token", TOKEN);
        assert_eq!(request.send().await.unwrap().status(), 404);
    }
    assert_eq!(upstream.count(), 0);
}
