#!/usr/bin/env bash
# Faults between real processes: `jobgate simulate`, toxiproxy, `jobgate serve`, toxiproxy, clients.
# All modules at once, as they mostly wait; or one: `run.sh test_upstream`.
# Needs go, python3 with venv, libfaketime, libnss-wrapper and a built binary; installs the rest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
jobgate=${JOBGATE_BIN:-$top/target/debug/jobgate}

proxy=$top/target/toxiproxy
[ -x "$proxy/server" ] || GOBIN=$proxy go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
[ -d "$here/.venv" ] || python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/.venv/bin/python" -m grpc_tools.protoc -I "$top/proto" \
  --python_out="$work" --grpc_python_out="$work" \
  "$top/proto/jobgate/v1/jobs.proto" "$top/proto/jobgate/v1/errors.proto"
cd "$here"
export PYTHONPATH="$work" JOBGATE_BIN="$jobgate" TOXIPROXY_BIN="$proxy/server"

modules=("$@")
[ $# -gt 0 ] || modules=(test_*.py)
for module in "${modules[@]}"; do
  "$here/.venv/bin/python" -m unittest -v "${module%.py}" >"$work/$module.log" 2>&1 &
  echo "$module $!" >>"$work/running"
done
code=0
while read -r module id; do
  wait "$id" || code=1
  cat "$work/$module.log"
done <"$work/running"
exit "$code"
