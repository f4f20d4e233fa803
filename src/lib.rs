//! A gRPC gateway to the job-status API of Huawei-family clouds.
//!
//! [`server::bind`] opens the sockets of a gateway and [`server::Bound::run`] serves;
//! [`simulator::bind`] does the same for a simulated cloud. Imports go one way: [`server`], then
//! [`grpc`], then [`watch`], then [`upstream`], then [`job`] and [`signing`]. [`access`] stands beside
//! [`watch`]. What is only there for `cargo fuzz` and to
//! be measured stands above them all.

pub mod access;
pub mod files;
#[cfg(any(test, fuzzing, feature = "measuring"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
pub mod job;
#[cfg(feature = "measuring")]
#[doc(hidden)]
pub mod measuring;
pub mod proto;
pub mod server;
pub mod signing;
pub mod simulator;
pub mod telemetry;
pub mod upstream;
pub mod watch;
