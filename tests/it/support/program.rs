//! The program, started as a user starts it.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

/// The token the program gets.
pub(crate) const SECRET: &str = "gAAAAAB-a-secret-token";

pub(crate) fn jobgate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobgate"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) async fn output(args: &[&str]) -> Output {
    jobgate(args).env("JOBGATE_TOKEN", SECRET).output().await.unwrap()
}

/// `jobgate simulate` on a free port.
pub(crate) struct Simulator {
    pub(crate) address: String,
    pub(crate) process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Simulator {
    pub(crate) async fn new() -> Self {
        let mut process = jobgate(&["simulate", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = stdout.next_line().await.unwrap().unwrap();
        let address = line.rsplit("http://").next().unwrap().to_owned();
        Self { address, process, _stdout: stdout }
    }
}

/// `jobgate serve` on a free port, with a log in JSON.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) process: Child,
    log: BufReader<ChildStderr>,
}

impl Server {
    pub(crate) async fn new(upstream: &str, more: &[&str]) -> Self {
        Self::with(upstream, more, &[]).await
    }

    /// With variables in its environment.
    pub(crate) async fn with(upstream: &str, more: &[&str], env: &[(&str, &str)]) -> Self {
        let upstream = format!("http://{upstream}");
        let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off"];
        args.extend(["--log-format", "json", "--upstream", &upstream]);
        args.extend(more);
        let mut command = jobgate(&args);
        command.env("JOBGATE_DRAIN_DELAY", "off").envs(env.iter().copied());
        let mut process = command.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"serving\"") {
            line.clear();
            assert!(log.read_line(&mut line).await.unwrap() > 0, "it did not start");
        }
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = line["grpc"].as_str().unwrap().parse().unwrap();
        Self { address, process, log }
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(&self.process, signal);
    }

    /// Waits for a line of its log with this text. The limit is for one that never comes.
    pub(crate) async fn logs(&mut self, text: &str) -> String {
        let mut line = String::new();
        let reading = async {
            while !line.contains(text) {
                line.clear();
                assert!(self.log.read_line(&mut line).await.unwrap() > 0, "it has ended");
            }
        };
        tokio::time::timeout(Duration::from_mins(1), reading).await.expect(text);
        line
    }

    /// Its end, and the rest of its log.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.log.read_to_string(&mut log).await.unwrap();
        (self.process.wait().await.unwrap(), log)
    }
}

pub(crate) fn send(process: &Child, signal: &str) {
    let id = process.id().unwrap().to_string();
    let sent = std::process::Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(sent.success());
}
