#!/usr/bin/env bash
# Installs the Python packages into .venv beside this file, and generates the code into .generated.
set -euo pipefail
cd "$(dirname "$0")"
proto=../../../proto

[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
mkdir -p .generated
.venv/bin/python -m grpc_tools.protoc -I "$proto" --python_out=.generated --grpc_python_out=.generated \
  "$proto/jobgate/v1/jobs.proto" "$proto/jobgate/v1/errors.proto"
