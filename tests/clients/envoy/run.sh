#!/usr/bin/env bash
# Tests two gateways behind a real Envoy, with the example of its configuration in deploy/envoy.
# Needs python3 with venv and a built binary; installs the rest into .venv beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
jobgate=${JOBGATE_BIN:-$top/target/debug/jobgate}

[ -d "$here/.venv" ] || python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/.venv/bin/python" -m grpc_tools.protoc -I "$top/proto" \
  --python_out="$work" --grpc_python_out="$work" \
  "$top/proto/jobgate/v1/jobs.proto" "$top/proto/jobgate/v1/errors.proto"
cd "$here"
PYTHONPATH="$work" JOBGATE_BIN="$jobgate" "$here/.venv/bin/python" -m unittest -v "$@"
