# syntax=docker/dockerfile:1

# Built with the compiler that rust-toolchain.toml names.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.toml build.rs ./
COPY proto proto
COPY src src
RUN cargo build --release --locked --bin jobgate

# glibc, CA certificates and nothing else: no shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/jobgate /usr/local/bin/jobgate
ENV JOBGATE_LISTEN=0.0.0.0:50051 \
    JOBGATE_ADMIN_LISTEN=0.0.0.0:9090 \
    JOBGATE_LOG_FORMAT=json
EXPOSE 50051 9090
USER 65532
HEALTHCHECK --interval=10s --timeout=4s --start-period=2s \
  CMD ["/usr/local/bin/jobgate", "health"]
ENTRYPOINT ["/usr/local/bin/jobgate"]
CMD ["serve"]
