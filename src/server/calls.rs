//! The metrics of calls: how many there were, of which method, how they ended and how long they took.
//!
//! Names and labels are those of OpenTelemetry's conventions for RPC, as Prometheus spells them.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder},
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};
use tonic::Code;

use crate::{
    grpc::{SERVICE, code_name},
    telemetry::{self, Durations},
};

/// The methods of the gRPC port.
const METHODS: [&str; 7] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "jobgate.v1.JobService/GetJob",
    "jobgate.v1.JobService/WatchJob",
];

/// Counts calls. Cheap to clone.
#[derive(Clone)]
pub(super) struct CallMetrics {
    durations: Durations<Outcome>,
    errors: Family<Failure, Counter>,
}

/// A method of the server's; one of the others that callers make up, if it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Method(Option<&'static str>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Outcome {
    method: Method,
    code: Code,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Failure {
    method: Method,
    reason: &'static str,
}

/// Whether the conventions take a status for a failure of the server. Others are the caller's affair.
pub(super) fn is_failure(code: Code) -> bool {
    match code {
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => false,
    }
}

// === impl CallMetrics ===

impl CallMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let durations = telemetry::durations();
        registry.register_with_unit(
            "rpc_server_call_duration",
            "Calls by method and status, and how long they took; watches to their end",
            Unit::Seconds,
            Durations::clone(&durations),
        );
        // From zero on, so that the first one is seen to be one.
        for method in METHODS.into_iter().filter(|method| method.starts_with(SERVICE)) {
            let outcome = Outcome { method: Method(Some(method)), code: Code::Ok };
            drop(durations.get_or_create(&outcome));
        }
        let errors = Family::default();
        registry.register(
            "jobgate_call_errors",
            "Calls that ended with an error of the gateway's, by its reason",
            Family::clone(&errors),
        );
        Self { durations, errors }
    }

    pub(super) fn ended(
        &self,
        method: Method,
        code: Code,
        reason: Option<&'static str>,
        after: Duration,
    ) {
        self.durations.get_or_create(&Outcome { method, code }).observe(after.as_secs_f64());
        if let Some(reason) = reason {
            self.errors.get_or_create(&Failure { method, reason }).inc();
        }
    }
}

// === impl Method ===

impl Method {
    pub(super) fn of(path: &str) -> Self {
        let name = path.strip_prefix('/');
        Self(METHODS.into_iter().find(|method| name == Some(method)))
    }

    pub(super) fn is_other(self) -> bool {
        self.0.is_none()
    }

    pub(super) fn name(self) -> &'static str {
        self.0.unwrap_or("_OTHER")
    }

    pub(super) fn span_name(self) -> &'static str {
        self.0.unwrap_or("grpc")
    }
}

// === impl Outcome ===

impl EncodeLabelSet for Outcome {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("rpc_system_name", "grpc").encode(encoder.encode_label())?;
        ("rpc_method", self.method.name()).encode(encoder.encode_label())?;
        ("rpc_status_code", code_name(self.code)).encode(encoder.encode_label())?;
        if is_failure(self.code) {
            ("error_type", code_name(self.code)).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

// === impl Failure ===

impl EncodeLabelSet for Failure {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("rpc_method", self.method.name()).encode(encoder.encode_label())?;
        ("reason", self.reason).encode(encoder.encode_label())
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto;

    #[test]
    fn every_method_of_the_contract_has_a_name() {
        let files = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
        let mut seen = 0;
        for file in files.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    assert_eq!(Method::of(&format!("/{name}")).name(), name);
                    seen += 1;
                }
            }
        }
        assert!(seen >= 5, "{seen}");
    }

    #[test]
    fn what_is_no_method_is_another() {
        for path in
            ["", "/", "jobgate.v1.JobService/GetJob", "/jobgate.v1.JobService/GetJob/", "/x"]
        {
            let method = Method::of(path);
            assert!(method.is_other(), "{path}");
            assert_eq!((method.name(), method.span_name()), ("_OTHER", "grpc"));
        }
    }
}
