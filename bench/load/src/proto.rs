//! The generated code of the contract: its messages, and the server side for the floor.
#![expect(clippy::allow_attributes, clippy::pedantic, reason = "generated")]

pub mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

pub mod jobgate {
    pub mod v1 {
        tonic::include_proto!("jobgate.v1");
    }
}

pub use jobgate::v1;
