#!/usr/bin/env bash
# Installs Debian's Ruby packages, and generates the code into .generated.
set -euo pipefail
cd "$(dirname "$0")"
proto=../../../proto
reflection=../interop/proto

there() {
  ruby -e 'require "grpc"' && command -v grpc_tools_ruby_protoc_plugin && [ -d /usr/include/google/protobuf ]
}
there &>/dev/null || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends ruby-grpc ruby-grpc-tools protobuf-compiler libprotobuf-dev >/dev/null
}
mkdir -p .generated
grpc_tools_ruby_protoc -I "$proto" -I "$reflection" --ruby_out=.generated --grpc_out=.generated \
  "$proto/jobgate/v1/jobs.proto" "$proto/jobgate/v1/errors.proto" \
  "$reflection/grpc/reflection/v1/reflection.proto"
