//! The REST API in which all jobs are alike, and change when told.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, time::Instant};

#[derive(Default)]
pub struct Upstream {
    version: AtomicU32,
    calls: AtomicU64,
    /// When a version of a job was first answered.
    answered: Mutex<HashMap<(usize, u32), Instant>>,
}

pub async fn serve(upstream: Arc<Upstream>, listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let upstream = Arc::clone(&upstream);
        let answer = service_fn(move |request: Request<Incoming>| {
            let answer = upstream.answer(request.uri().path());
            async { Ok::<_, Infallible>(Response::new(answer)) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

// === impl Upstream ===

impl Upstream {
    /// Requests so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn change(&self, version: u32) {
        self.version.store(version, Ordering::Relaxed);
    }

    pub fn answered(&self, job: usize, version: u32) -> Option<Instant> {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.get(&(job, version)).copied()
    }

    fn answer(&self, path: &str) -> Full<Bytes> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let version = self.version.load(Ordering::Relaxed);
        let job = path.rsplit('/').next().and_then(|it| it.parse().ok()).unwrap_or_default();
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.entry((job, version)).or_insert_with(Instant::now);
        Full::from(format!(
            r#"{{"status":"RUNNING","entities":{{"bks_create_volume_name":"autobk_volume",
            "backup_id":"ba5401a2-7cd2-4c01-8c0d-c936ab412d6d","version":"{version}",
            "volume_id":"7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
            "snapshot_id":"a77a96bf-dd18-40bf-a446-fdcefc1719ec"}},"job_id":"{job}",
            "job_type":"bksCreateBackup","begin_time":"2016-01-28T16:14:09.466Z","end_time":"",
            "error_code":null,"fail_reason":null}}"#
        ))
    }
}
