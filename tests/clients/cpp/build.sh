#!/usr/bin/env bash
# Installs Debian's packages, generates the code and builds the program into .build.
set -euo pipefail
cd "$(dirname "$0")"

there() {
  command -v g++ make pkg-config protoc grpc_cpp_plugin && pkg-config --exists grpc++ protobuf
}
there >/dev/null || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends g++ make pkg-config libgrpc++-dev libprotobuf-dev \
    protobuf-compiler protobuf-compiler-grpc >/dev/null
}
make --silent --jobs=2
