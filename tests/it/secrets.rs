//! What is left of a token in the gateway's memory.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    time::Duration,
};

use jobgate::proto::v1::job_service_client::JobServiceClient;
use tokio::time::{Instant, sleep};

use crate::support::{Reply, Upstream, gateway::channel, get_job, program::Server, watch_job};

/// All the memory that a process has written to.
fn memory(process: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let maps = BufReader::new(File::open(format!("/proc/{process}/maps")).unwrap());
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    for line in maps.lines() {
        let line = line.unwrap();
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|it| u64::from_str_radix(it, 16).unwrap());
        let mut piece = Vec::new();
        // A piece may be gone by now.
        if memory.seek(SeekFrom::Start(from)).is_ok() {
            let _ = (&mut memory).take(to - from).read_to_end(&mut piece);
        }
        bytes.extend(piece);
    }
    bytes
}

fn copies(process: u32, text: &[u8]) -> usize {
    let memory = memory(process);
    let first = |at: &usize| memory[*at..].starts_with(text);
    (0..memory.len()).filter(|at| memory[*at] == text[0]).filter(first).count()
}

#[tokio::test]
async fn a_token_is_wiped_when_its_calls_and_connections_are_over() {
    // The upstream's connections are kept for a while; these end with their answer.
    let body = r#"{"status":"RUNNING","job_id":"j1"}"#;
    let mut answer = Reply::head(200, &[("connection", "close")], body.len());
    answer.extend_from_slice(body.as_bytes());
    let upstream = Upstream::new([Reply::BytesThenClose(answer)]).await;
    let server = Server::new(&upstream.address.to_string(), &[]).await;
    let process = server.process.id().unwrap();
    let beginning = "gAAAAAB-the-beginning-of-each-token";
    for number in 0..20 {
        let token = format!("{beginning}-{number}").parse().unwrap();
        let mut client = JobServiceClient::new(channel(server.address).await);
        let mut request = get_job();
        request.metadata_mut().insert("x-auth-token", token);
        client.get_job(request).await.unwrap();
        let mut request = watch_job();
        let token = format!("{beginning}-{number}").parse().unwrap();
        request.metadata_mut().insert("x-auth-token", token);
        let mut watch = client.watch_job(request).await.unwrap().into_inner();
        watch.message().await.unwrap();
        if number == 0 {
            assert!(copies(process, beginning.as_bytes()) > 0);
        }
    }
    // The gateway sees the ends of the connections a moment later.
    let limit = Instant::now() + Duration::from_mins(1);
    let left = loop {
        let left = copies(process, beginning.as_bytes());
        if left == 0 || Instant::now() > limit {
            break left;
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(left, 0);
}
