use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{advance, timeout},
};
use tokio_rustls::rustls::RootCertStore;

use super::{super::transport::Body as _, *};
use crate::upstream::trust;

const SOON: Duration = Duration::from_secs(10);
const MAX_IDLE: usize = 200;

/// Takes connections, and leaves each to `serve` with its number.
async fn peer<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> (Pool, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(count.fetch_add(1, Ordering::SeqCst), stream));
        }
    });
    let tls = trust::tests::trusting(RootCertStore::empty());
    (Pool::new(Connector::new(target, tls, None, SOON), MAX_IDLE), accepted)
}

/// Answers request after request with what `answer` makes of its number.
async fn answering(mut stream: TcpStream, answer: impl Fn(usize) -> String) {
    let mut buffer = [0; 4096];
    for number in 0.. {
        let mut read = 0;
        while !buffer[..read].ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer[read..]).await {
                Ok(0) | Err(_) => return,
                Ok(more) => read += more,
            }
        }
        let answer = answer(number);
        if stream.write_all(answer.as_bytes()).await.is_err() || answer.contains("close") {
            return;
        }
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn get(pool: &Pool) -> Result<String, String> {
    let mut request = Request::get("/").header("host", "x").body(Empty::new()).unwrap();
    let (_, mut answer) = pool.send(&mut request).await.map_err(|error| chain(&*error))?;
    let mut body = Vec::new();
    while let Some(piece) = answer.piece().await? {
        body.extend_from_slice(&piece);
    }
    answer.finish();
    Ok(String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn one_request_after_another_goes_by_the_same_connection() {
    let (pool, accepted) = peer(|_, stream| answering(stream, |n| ok(&n.to_string()))).await;
    for number in 0..5 {
        assert_eq!(get(&pool).await.unwrap(), number.to_string());
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_have_a_connection_each() {
    let (pool, accepted) = peer(|_, stream| answering(stream, |n| ok(&n.to_string()))).await;
    let all = futures_util::future::join_all((0..7).map(|_| get(&pool))).await;
    assert!(all.iter().all(|it| it.as_deref() == Ok("0")), "{all:?}");
    assert_eq!(accepted.load(Ordering::SeqCst), 7);
    get(&pool).await.unwrap();
    assert_eq!(accepted.load(Ordering::SeqCst), 7, "the next takes one of them");
}

#[tokio::test]
async fn as_many_are_kept_as_there_may_be_and_no_more() {
    let (pool, accepted) = peer(|_, stream| answering(stream, |_| ok(""))).await;
    let crowd = async |size| {
        let all = futures_util::future::join_all((0..size).map(|_| get(&pool))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        accepted.load(Ordering::SeqCst)
    };
    assert_eq!(crowd(MAX_IDLE).await, MAX_IDLE);
    assert_eq!(crowd(MAX_IDLE).await, MAX_IDLE, "none is connected anew");
    crowd(MAX_IDLE + 10).await;
    assert_eq!(pool.idle().kept.len(), MAX_IDLE);
}

#[tokio::test]
async fn bodies_of_any_framing_are_read_to_their_end() {
    let long = "x".repeat(300_000);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end".to_owned();
    let answers = [ok(""), ok(&long), chunked, close];
    let expected = [String::new(), long.clone(), format!("abc{long}"), "to the end".to_owned()];
    let (pool, accepted) = peer(move |_, stream| {
        let answers = answers.clone();
        answering(stream, move |number| answers[number].clone())
    })
    .await;
    for body in expected {
        assert!(get(&pool).await.unwrap() == body);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    assert_eq!(get(&pool).await.unwrap(), "", "the closed one is not used again");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_the_peer_has_closed_is_not_used() {
    let (closing, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let (pool, accepted) = peer(move |_, mut stream| {
        let closing = closing.clone();
        async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(ok("once").as_bytes()).await;
            let _ = stream.shutdown().await;
            let _ = closing.send(());
        }
    })
    .await;
    for number in 1..=20 {
        assert_eq!(get(&pool).await.unwrap(), "once");
        closed.recv().await.unwrap();
        while let Some(connection) = pool.take() {
            pool.keep(connection);
            // Until the runtime has looked at its sockets.
            tokio::task::yield_now().await;
        }
        assert_eq!(accepted.load(Ordering::SeqCst), number);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_ends_its_connection() {
    let (pool, accepted) = peer(|_, stream| {
        answering(stream, |_| "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart".to_owned())
    })
    .await;
    let mut request = Request::get("/").header("host", "x").body(Empty::new()).unwrap();
    let (_, mut answer) = pool.send(&mut request).await.unwrap();
    assert_eq!(answer.piece().await.unwrap().unwrap(), "part");
    answer.finish();
    assert!(pool.take().is_none());
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_within_an_answer_is_an_error() {
    let (pool, _) = peer(|_, stream| {
        answering(stream, |_| "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nclose".to_owned())
    })
    .await;
    let error = timeout(SOON, get(&pool)).await.unwrap().unwrap_err();
    assert!(error.starts_with("request failed: "), "{error}");
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_after_a_minute() {
    let (ended, mut has_ended) = tokio::sync::mpsc::unbounded_channel();
    let (pool, _) = peer(move |_, stream| {
        let ended = ended.clone();
        async move {
            answering(stream, |_| ok("")).await;
            let _ = ended.send(());
        }
    })
    .await;
    get(&pool).await.unwrap();
    tokio::time::pause();
    advance(IDLE_TIMEOUT / 2).await;
    assert!(has_ended.try_recv().is_err());
    assert_eq!(pool.idle().kept.len(), 1);
    advance(IDLE_TIMEOUT).await;
    tokio::time::resume();
    timeout(SOON, has_ended.recv()).await.unwrap().unwrap();
    assert!(!pool.idle().swept, "nobody looks after none");
}
