#!/usr/bin/env bash
# Sends the gateway's traces and metrics to a real OpenTelemetry Collector, and reads what it prints of them.
# Needs go 1.26, python3 with venv and a built binary. Builds the collector once, in about a minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
jobgate=${JOBGATE_BIN:-$top/target/debug/jobgate}

collector=$top/target/collector/collector
if ! [ "$collector" -nt "$here/builder.yaml" ]; then
  mkdir -p "$top/target"
  (cd "$top" && go run go.opentelemetry.io/collector/cmd/builder@v0.165.0 \
    --config tests/clients/collector/builder.yaml)
fi

[ -d "$here/.venv" ] || python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/.venv/bin/python" -m grpc_tools.protoc -I "$top/proto" \
  --python_out="$work" --grpc_python_out="$work" \
  "$top/proto/jobgate/v1/jobs.proto" "$top/proto/jobgate/v1/errors.proto"
cd "$here"
PYTHONPATH="$work" JOBGATE_BIN="$jobgate" COLLECTOR_BIN="$collector" \
  "$here/.venv/bin/python" -m unittest -v "$@"
