#!/usr/bin/env bash
# Runs the cloud's Go SDK against `jobgate simulate`: what satisfies it should satisfy us, too.
# Needs go 1.26 and a built binary; go fetches the SDK.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cd "$here"
JOBGATE_BIN="${JOBGATE_BIN:-$top/target/debug/jobgate}" go test -count=1 -v ./...
