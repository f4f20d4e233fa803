//! Through the door: a real gateway, real sockets, and an upstream that does what it is told.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod access_keys;
mod answers;
mod callers;
mod check;
mod connections;
mod credentials;
mod deadlines;
mod drain;
mod egress;
mod egress_tls;
mod faults;
mod half_answers;
mod health;
mod history;
mod limits;
mod logs;
mod metrics;
mod own_credentials;
mod program;
mod reflection;
mod requests;
mod retries;
mod secrets;
mod sharing;
mod simulator;
mod simulator_iam;
mod simulator_keys;
mod support;
mod tenants;
mod throttling;
mod tls;
mod traces;
mod watch_command;
mod watching;
mod wire;
