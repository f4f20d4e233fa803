//! The upstream: HTTP/1.1 by hand, so that it costs little and can break wherever it likes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// What a request is answered with.
pub(crate) enum Reply {
    /// A job in this state, after a while.
    Job(&'static str, u64, Duration),
    /// An error.
    Error(u16),
    /// The first half of a job.
    Cut,
    /// The end of the connection.
    Close,
}

/// Serves; the id of a job decides.
pub(crate) async fn serve(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reply = Arc::new(reply);
    tokio::spawn(async move {
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            let reply = Arc::clone(&reply);
            // Whatever a peer does ends its connection.
            tokio::spawn(async move { answer(peer, &*reply).await.unwrap_or_default() });
        }
    });
    address
}

async fn answer(mut peer: TcpStream, reply: &impl Fn(&str) -> Reply) -> std::io::Result<()> {
    peer.set_nodelay(true)?;
    let mut head = Vec::new();
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if peer.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head);
        let path = text.split(' ').nth(1).unwrap_or_default();
        let job = path.rsplit('/').next().unwrap_or_default();
        match reply(job) {
            Reply::Job(status, version, wait) => {
                if !wait.is_zero() {
                    sleep(wait).await;
                }
                peer.write_all(&with(200, &body(job, status, version))).await?;
            }
            Reply::Error(status) => {
                let body = r#"{"error":{"code":"x","message":"a fault"}}"#;
                peer.write_all(&with(status, body)).await?;
            }
            Reply::Cut => {
                let whole = with(200, &body(job, "RUNNING", 0));
                return peer.write_all(&whole[..whole.len() / 2]).await;
            }
            Reply::Close => return Ok(()),
        }
    }
}

/// The example job of the API's documentation.
fn body(job: &str, status: &str, version: u64) -> String {
    format!(
        r#"{{"status":"{status}","entities":{{"bks_create_volume_name":"autobk_volume",
        "backup_id":"ba5401a2-7cd2-4c01-8c0d-c936ab412d6d","version":"{version}",
        "volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
        "snapshot_id":"a77a96bf-dd18-40bf-a446-fdcefc1719ec"}},"job_id":"{job}",
        "job_type":"bksCreateBackup","begin_time":"2016-01-28T16:14:09.466Z","end_time":"",
        "error_code":null,"fail_reason":null}}"#
    )
}

fn with(status: u16, body: &str) -> Vec<u8> {
    let kind = "content-type: application/json";
    format!("HTTP/1.1 {status} x\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}
