# syntax=docker/dockerfile:1

# The compiler that rust-toolchain.toml names. With that file beside it, rustup would fetch clippy and rustfmt as well.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY src src
# What runs often, so that the compiler can put it together: a quarter less CPU.
COPY bench/jobgate.profdata ./
# The builder keeps the crates, and what is made of them. cargo goes by times of files, and another checkout may have
# been built here since ours was written: so our own files are new.
RUN --mount=type=cache,sharing=locked,target=/usr/local/cargo/registry \
    --mount=type=cache,sharing=locked,target=/src/target \
    find build.rs proto src -exec touch {} + \
    && RUSTFLAGS=-Cprofile-use=/src/jobgate.profdata cargo build --release --locked --bin jobgate \
    && cp target/release/jobgate /jobgate

# glibc, CA certificates and nothing else: no shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="jobgate" \
      org.opencontainers.image.description="A gRPC gateway to the job-status API of Huawei-family clouds" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /jobgate /usr/local/bin/jobgate
# Without huge pages, which would double the memory at rest where the kernel gives them to all.
ENV JOBGATE_LISTEN=0.0.0.0:50051 \
    JOBGATE_ADMIN_LISTEN=0.0.0.0:9090 \
    JOBGATE_LOG_FORMAT=json \
    MIMALLOC_ALLOW_THP=0
EXPOSE 50051 9090
USER 65532
HEALTHCHECK --interval=10s --timeout=4s --start-period=2s \
  CMD ["/usr/local/bin/jobgate", "health"]
ENTRYPOINT ["/usr/local/bin/jobgate"]
CMD ["serve"]
