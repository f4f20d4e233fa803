#!/usr/bin/env bash
# Runs the Node client's tests against `jobgate simulate` and `jobgate serve`.
# Needs node 20 with npm and a built binary; installs the rest into node_modules beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cd "$here"
npm ci --silent --no-audit --no-fund
JOBGATE_BIN="${JOBGATE_BIN:-$top/target/debug/jobgate}" npm test
