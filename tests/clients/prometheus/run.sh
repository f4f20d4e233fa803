#!/usr/bin/env bash
# Has a real Prometheus scrape a gateway, and asks it for what it has found.
# Needs prometheus and promtool (Debian: prometheus), python3 and a built binary.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cd "$here"
JOBGATE_BIN="${JOBGATE_BIN:-$top/target/debug/jobgate}" python3 -m unittest -v "$@"
