//! A gRPC gateway to the job-status API of Huawei-family clouds.
pub mod grpc;
pub mod job;
pub mod proto;
pub mod server;
pub mod simulator;
pub mod telemetry;
pub mod upstream;
