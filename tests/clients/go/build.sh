#!/usr/bin/env bash
# Generates the code into gen/ and builds the program into .bin/. The versions are those in go.mod.
set -euo pipefail
cd "$(dirname "$0")"
proto=../../../proto

[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check 'grpcio-tools==1.85.*'
GOBIN=$PWD/.bin go install tool
PATH=$PWD/.bin:$PATH .venv/bin/python -m grpc_tools.protoc -I "$proto" \
  --go_out=. --go_opt=module=jobgate.dev --go-grpc_out=. --go-grpc_opt=module=jobgate.dev \
  --connect-go_out=. --connect-go_opt=module=jobgate.dev \
  "$proto/jobgate/v1/jobs.proto" "$proto/jobgate/v1/errors.proto"
go build -o .bin/play .
