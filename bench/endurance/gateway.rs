//! The gateway's process: started, looked at, told to stop.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jobgate");

pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
}

// === impl Gateway ===

impl Gateway {
    pub(crate) fn start(upstream: SocketAddr, flags: &[&str]) -> Self {
        Self::by(Command::new(PROGRAM), upstream, flags)
    }

    /// With a core of its own, and this process with another one: none takes the other's time.
    pub(crate) fn start_apart(upstream: SocketAddr, flags: &[&str]) -> Self {
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset").args(["-acp", "1", &own]).output();
        assert!(pinned.unwrap().status.success());
        let mut command = Command::new("taskset");
        command.args(["-c", "0", PROGRAM]);
        Self::by(command, upstream, flags)
    }

    fn by(mut command: Command, upstream: SocketAddr, flags: &[&str]) -> Self {
        let mut process = command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--log-format", "json", "--upstream", &format!("http://{upstream}")])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"serving\"") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the gateway did not start");
        }
        // Lines are not looked at: they are bytes, and many.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        Self { process, address: address("grpc"), admin: address("admin") }
    }

    /// All metrics; those with labels as the sum of their series.
    pub(crate) async fn metrics(&self) -> HashMap<String, f64> {
        let mut admin = TcpStream::connect(self.admin).await.unwrap();
        admin.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let mut page = String::new();
        admin.read_to_string(&mut page).await.unwrap();
        let mut found = HashMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let name = series.split('{').next().unwrap_or(series);
            if let Ok(value) = value.parse::<f64>() {
                *found.entry(name.to_owned()).or_default() += value;
            }
        }
        found
    }

    pub(crate) fn rss_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.process.id())
    }

    pub(crate) fn terminate(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// When it has ended, in order.
    pub(crate) async fn ended(&mut self) -> Instant {
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return Instant::now();
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// CPU time of a process so far, in seconds; the kernel counts in hundredths.
pub(crate) fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}
