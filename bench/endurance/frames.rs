//! An open loop of calls, frame by frame: a call costs a microsecond or two, so that the generator is
//! never the bottleneck.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, tcp::OwnedReadHalf},
    sync::mpsc,
    time::{Instant, interval, sleep},
};

const CONNECTIONS: usize = 8;

/// Of each call: who asks for a job's state does not wait for long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The largest window that there may be.
const ANY: u32 = (1 << 31) - 1;

/// What has become of calls.
#[derive(Default)]
pub(crate) struct Outcomes {
    /// How long those with an answer took, from when they were due.
    pub(crate) answered: Vec<Duration>,
    /// The same of those with nothing but a status.
    pub(crate) refused: Vec<Duration>,
    /// Calls that were reset.
    pub(crate) reset: usize,
    /// Calls that waited for others to end, by the gateway's limit of a connection, and were out of
    /// time before they could be sent.
    pub(crate) unsent: usize,
    /// Calls without an end, three seconds after the last one was made.
    pub(crate) open: usize,
}

/// Calls on a connection.
struct Calls {
    /// By stream: when it was due, and whether there was a message.
    open: HashMap<u32, (Instant, bool)>,
    /// Those that wait until there are less than the peer takes at a time.
    waiting: VecDeque<(usize, Instant)>,
    max_open: usize,
    outcomes: Outcomes,
    /// How many bytes of messages the peer takes on the whole connection.
    window: u32,
    send: mpsc::UnboundedSender<Vec<u8>>,
    next: u32,
}

struct Connection(Arc<Mutex<Calls>>);

/// Makes so many calls per second, each for a job of its own, whatever becomes of them.
pub(crate) async fn load(gateway: SocketAddr, rate: f64, time: Duration) -> Outcomes {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::new(gateway).await);
    }
    let (begun, mut made) = (Instant::now(), 0_usize);
    let mut tick = interval(Duration::from_millis(1));
    while begun.elapsed() < time {
        tick.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        for number in made..due {
            let at = begun + Duration::from_secs_f64(number as f64 / rate);
            connections[number % CONNECTIONS].0.lock().unwrap().call(number, at);
        }
        made = due.max(made);
    }
    // What is late is not lost.
    sleep(3 * DEADLINE).await;
    let mut all = Outcomes::default();
    for connection in connections {
        let mut calls = connection.0.lock().unwrap();
        all.answered.append(&mut calls.outcomes.answered);
        all.refused.append(&mut calls.outcomes.refused);
        all.reset += calls.outcomes.reset;
        all.unsent += calls.outcomes.unsent + calls.waiting.len();
        all.open += calls.open.len();
    }
    all.answered.sort_unstable();
    all.refused.sort_unstable();
    all
}

// === impl Connection ===

impl Connection {
    async fn new(gateway: SocketAddr) -> Self {
        let peer = TcpStream::connect(gateway).await.unwrap();
        peer.set_nodelay(true).unwrap();
        let (read, mut write) = peer.into_split();
        let (send, mut pieces) = mpsc::unbounded_channel::<Vec<u8>>();
        // No table of headers, and windows that never close.
        let settings = [&[0, 1, 0, 0, 0, 0, 0, 4][..], &ANY.to_be_bytes()].concat();
        let preface = [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            &frame(SETTINGS, 0, 0, &settings),
            &frame(WINDOW_UPDATE, 0, 0, &(ANY - 0xffff).to_be_bytes()),
        ];
        write.write_all(&preface.concat()).await.unwrap();
        tokio::spawn(async move {
            while let Some(mut piece) = pieces.recv().await {
                while let Ok(more) = pieces.try_recv() {
                    piece.extend(more);
                }
                // The gateway's end is the end of this as well.
                if write.write_all(&piece).await.is_err() {
                    break;
                }
            }
        });
        let calls = Calls {
            open: HashMap::new(),
            waiting: VecDeque::new(),
            max_open: usize::MAX,
            outcomes: Outcomes::default(),
            window: 0xffff,
            send,
            next: 1,
        };
        let calls = Arc::new(Mutex::new(calls));
        tokio::spawn(listen(BufReader::new(read), Arc::clone(&calls)));
        Self(calls)
    }
}

// === impl Calls ===

impl Calls {
    /// Makes a call, as soon as the peer takes one more.
    fn call(&mut self, number: usize, at: Instant) {
        self.waiting.push_back((number, at));
        self.send_waiting();
    }

    fn send_waiting(&mut self) {
        while self.open.len() < self.max_open
            && let Some((number, at)) = self.waiting.pop_front()
        {
            if at.elapsed() < DEADLINE {
                self.send_call(number, at);
            } else {
                self.outcomes.unsent += 1;
            }
        }
    }

    fn send_call(&mut self, number: usize, at: Instant) {
        // A message of `project_id` and `job_id`.
        let job = format!("j{number}");
        let message = [&[10, 1, b'p', 18, job.len() as u8][..], job.as_bytes()].concat();
        let length = (message.len() as u32).to_be_bytes();
        let message = [&[0][..], &length, &message].concat();
        assert!(self.window as usize > message.len(), "the gateway does not read any more");
        self.window -= message.len() as u32;
        self.open.insert(self.next, (at, false));
        let frames = [
            frame(HEADERS, END_HEADERS, self.next, &headers()),
            frame(DATA, END_STREAM, self.next, &message),
        ];
        let _ = self.send.send(frames.concat());
        self.next += 2;
    }

    /// Heeds what the peer says of itself.
    fn set(&mut self, settings: &[u8]) {
        for setting in settings.chunks_exact(6) {
            if setting[..2] == [0, 3] {
                self.max_open = u32::from_be_bytes(setting[2..].try_into().unwrap()) as usize;
            }
        }
    }
}

async fn listen(mut peer: BufReader<OwnedReadHalf>, calls: Arc<Mutex<Calls>>) {
    let mut head = [0; 9];
    while peer.read_exact(&mut head).await.is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        peer.read_exact(&mut payload).await.unwrap();
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut calls = calls.lock().unwrap();
        let calls = &mut *calls;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                calls.set(&payload);
                let _ = calls.send.send(frame(SETTINGS, ACK, 0, &[]));
            }
            PING if flags & ACK == 0 => {
                let _ = calls.send.send(frame(PING, ACK, 0, &payload));
            }
            WINDOW_UPDATE if stream == 0 => {
                calls.window += u32::from_be_bytes(payload[..].try_into().unwrap());
            }
            DATA => calls.open.get_mut(&stream).unwrap().1 = true,
            HEADERS if flags & END_STREAM != 0 => {
                let (due, answered) = calls.open.remove(&stream).unwrap();
                let Outcomes { answered: good, refused, .. } = &mut calls.outcomes;
                if answered { good } else { refused }.push(due.elapsed());
                calls.send_waiting();
            }
            RST_STREAM => {
                // Also said, to no effect, after an answer.
                calls.outcomes.reset += usize::from(calls.open.remove(&stream).is_some());
                calls.send_waiting();
            }
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a GetJob, without any table and any compression.
fn headers() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/jobgate.v1.JobService/GetJob"),
        (":authority", "bench"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", &format!("{}S", DEADLINE.as_secs())),
        ("x-auth-token", "bench"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.bytes());
        }
    }
    block
}
